-- Rules of the schemas' tables and views, without the one that makes a view a view.
select
    c.relnamespace as namespace,
    'rule' as kind,
    c.relname as "table",
    r.rulename as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        -- The pretty form does not qualify the names of tables that are found by the path.
        'definition', pg_catalog.pg_get_ruledef(r.oid, true),
        'enabled', case r.ev_enabled when 'D' then 'no' when 'R' then 'on replicas' when 'A' then 'always' else 'yes' end,
        'comment', pg_catalog.obj_description(r.oid, 'pg_rewrite'::name)
    )) as properties
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class c on c.oid = r.ev_class
where c.relnamespace = any ($1)
    and r.rulename <> '_RETURN'::name
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
