-- The schemas $1 themselves, which bear no name here.
select
    n.oid as namespace,
    'schema' as kind,
    null as "table",
    ''::text as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'comment', pg_catalog.obj_description(n.oid, 'pg_namespace'::name)
    )) as properties
from pg_catalog.pg_namespace n
where n.oid = any ($1)
