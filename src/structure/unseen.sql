-- What is in the schema with the oid $1 that a snapshot does not see: objects that only those can make who may load code
-- into the server, and labels. Then what a snapshot only sees where it is asked: it differs from server to server.
select what, is_object
from (
    select 'text search parser ' || p.prsname as what, 'pg_ts_parser'::regclass as class, p.oid, true as is_object
    from pg_catalog.pg_ts_parser p where p.prsnamespace = $1
    union all
    select 'text search template ' || t.tmplname, 'pg_ts_template'::regclass, t.oid, true
    from pg_catalog.pg_ts_template t where t.tmplnamespace = $1
    union all
    select 'base type ' || t.typname, 'pg_type'::regclass, t.oid, true
    from pg_catalog.pg_type t where t.typnamespace = $1 and t.typtype = 'b' and t.typcategory <> 'A'
    union all
    select 'transform for ' || format_type(t.oid, null) || ' in ' || l.lanname, 'pg_transform'::regclass, f.oid, true
    from pg_catalog.pg_transform f
    join pg_catalog.pg_type t on t.oid = f.trftype
    join pg_catalog.pg_language l on l.oid = f.trflang
    where t.typnamespace = $1
    union all
    select 'security label on ' || c.relname, 'pg_class'::regclass, c.oid, true
    from pg_catalog.pg_class c
    where c.relnamespace = $1
        and exists (
            select from pg_catalog.pg_seclabel s where s.classoid = 'pg_class'::regclass and s.objoid = c.oid
        )
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
    select 'the comment on the schema', 'pg_namespace'::regclass, n.oid, false
    from pg_catalog.pg_namespace n where n.oid = $1 and pg_catalog.obj_description(n.oid, 'pg_namespace') is not null
) as all_of_it
where not exists (
    select from pg_catalog.pg_depend d where d.classid = all_of_it.class and d.objid = all_of_it.oid and d.deptype = 'e'
)
order by is_object desc, what collate "C"
