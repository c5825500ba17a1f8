-- Extensions of the database that were installed into other schemas: told of each of the schemas $1.
select
    n.oid as namespace,
    'extension' as kind,
    null as "table",
    e.extname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'schema', e.extnamespace::regnamespace::text,
        'version', e.extversion,
        'comment', pg_catalog.obj_description(e.oid, 'pg_extension'::name)
    )) as properties
from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid <> e.extnamespace
where n.oid = any ($1)
