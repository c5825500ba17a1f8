-- The validators of the languages look at what is written in them. An aggregate is written in none: PostgreSQL names `internal`
-- and a function that is not there.
create or replace procedure tenantry.validate_functions(p_schema oid, p_name text)
language plpgsql as $$
declare
    made record;
begin
    for made in
        select p.oid, v.oid as validator
          -- By what depends on the schema, for which there is an index: a fleet has very many functions.
          from pg_catalog.pg_depend d
          join pg_catalog.pg_proc p on p.oid = d.objid
          join pg_catalog.pg_language l on l.oid = p.prolang
          join pg_catalog.pg_proc v on v.oid = l.lanvalidator
         where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = p_schema
           and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and pg_catalog.age(p.xmin) <= 0
           and p.prokind <> 'a'
         order by p.proname, p.oid
    loop
        execute pg_catalog.format('select pg_catalog.%I(%s)', (select proname from pg_catalog.pg_proc where oid = made.validator), made.oid);
    end loop;
end
$$;
