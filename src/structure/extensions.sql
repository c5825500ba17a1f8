-- Extensions that were installed into the schemas $1. What belongs to one is not told.
select
    e.extnamespace as namespace,
    'extension' as kind,
    null as "table",
    e.extname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'version', e.extversion,
        'comment', pg_catalog.obj_description(e.oid, 'pg_extension'::name)
    )) as properties
from pg_catalog.pg_extension e
where e.extnamespace = any ($1)
