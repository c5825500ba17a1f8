-- What is in the schema with the oid $1 that a snapshot does not see: objects of rare kinds and rare options of others,
-- then privileges, which differ from server to server.
select what, is_object
from (
    select 'operator ' || o.oprname || ' (' || format_type(o.oprleft, null) || ', ' || format_type(o.oprright, null) || ')' as what,
        'pg_operator'::regclass as class, o.oid, true as is_object
    from pg_catalog.pg_operator o where o.oprnamespace = $1
    union all
    select 'operator class ' || c.opcname, 'pg_opclass'::regclass, c.oid, true from pg_catalog.pg_opclass c where c.opcnamespace = $1
    union all
    select 'operator family ' || f.opfname, 'pg_opfamily'::regclass, f.oid, true from pg_catalog.pg_opfamily f where f.opfnamespace = $1
    union all
    select 'collation ' || c.collname, 'pg_collation'::regclass, c.oid, true from pg_catalog.pg_collation c where c.collnamespace = $1
    union all
    select 'conversion ' || c.conname, 'pg_conversion'::regclass, c.oid, true from pg_catalog.pg_conversion c where c.connamespace = $1
    union all
    select 'text search configuration ' || c.cfgname, 'pg_ts_config'::regclass, c.oid, true from pg_catalog.pg_ts_config c where c.cfgnamespace = $1
    union all
    select 'text search dictionary ' || d.dictname, 'pg_ts_dict'::regclass, d.oid, true from pg_catalog.pg_ts_dict d where d.dictnamespace = $1
    union all
    select 'text search parser ' || p.prsname, 'pg_ts_parser'::regclass, p.oid, true from pg_catalog.pg_ts_parser p where p.prsnamespace = $1
    union all
    select 'text search template ' || t.tmplname, 'pg_ts_template'::regclass, t.oid, true from pg_catalog.pg_ts_template t where t.tmplnamespace = $1
    union all
    select 'base type ' || t.typname, 'pg_type'::regclass, t.oid, true
    from pg_catalog.pg_type t where t.typnamespace = $1 and t.typtype = 'b' and t.typcategory <> 'A'
    union all
    select 'functions of the range type ' || t.typname, 'pg_type'::regclass, t.oid, true
    from pg_catalog.pg_type t join pg_catalog.pg_range r on r.rngtypid = t.oid
    where t.typnamespace = $1 and (r.rngcanonical::oid <> 0 or r.rngsubdiff::oid <> 0)
    union all
    select 'options of the aggregate ' || p.proname, 'pg_proc'::regclass, p.oid, true
    from pg_catalog.pg_aggregate a join pg_catalog.pg_proc p on p.oid = a.aggfnoid
    where p.pronamespace = $1
        and (a.aggkind <> 'n' or a.aggmtransfn::oid <> 0 or a.aggserialfn::oid <> 0 or a.aggsortop <> 0 or a.aggfinalextra
            or a.aggtransspace <> 0 or p.proparallel <> 'u')
    union all
    select 'the tablespace of ' || c.relname, 'pg_class'::regclass, c.oid, true
    from pg_catalog.pg_class c where c.relnamespace = $1 and c.reltablespace <> 0
    union all
    select 'privileges on ' || c.relname, 'pg_class'::regclass, c.oid, false
    from pg_catalog.pg_class c where c.relnamespace = $1 and c.relacl is not null
    union all
    select 'privileges on columns of ' || c.relname, 'pg_class'::regclass, c.oid, false
    from pg_catalog.pg_class c
    where c.relnamespace = $1
        and exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attacl is not null)
    union all
    select 'privileges on ' || p.proname, 'pg_proc'::regclass, p.oid, false
    from pg_catalog.pg_proc p where p.pronamespace = $1 and p.proacl is not null
    union all
    select 'privileges on ' || t.typname, 'pg_type'::regclass, t.oid, false
    from pg_catalog.pg_type t where t.typnamespace = $1 and t.typacl is not null
    union all
    select 'privileges on the schema', 'pg_namespace'::regclass, n.oid, false
    from pg_catalog.pg_namespace n where n.oid = $1 and n.nspacl is not null
    union all
    select 'default privileges', 'pg_default_acl'::regclass, d.oid, false
    from pg_catalog.pg_default_acl d where d.defaclnamespace = $1
    union all
    select 'the statistics target of ' || c.relname || '.' || a.attname, 'pg_class'::regclass, c.oid, false
    from pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = $1 and c.relkind in ('r', 'p', 'm', 'f') and a.attstattarget >= 0
    union all
    select 'comments on attributes of ' || c.relname, 'pg_class'::regclass, c.oid, false
    from pg_catalog.pg_class c
    where c.relnamespace = $1 and c.relkind = 'c'
        and exists (
            select from pg_catalog.pg_description d
            where d.classoid = 'pg_class'::regclass and d.objoid = c.oid and d.objsubid > 0
        )
    union all
    select 'the comment on the schema', 'pg_namespace'::regclass, n.oid, false
    from pg_catalog.pg_namespace n where n.oid = $1 and pg_catalog.obj_description(n.oid, 'pg_namespace') is not null
) as all_of_it
where not exists (
    select from pg_catalog.pg_depend d where d.classid = all_of_it.class and d.objid = all_of_it.oid and d.deptype = 'e'
)
order by is_object desc, what collate "C"
