-- Conversions between encodings in the schemas $1.
select
    c.connamespace as namespace,
    'conversion' as kind,
    null as "table",
    c.conname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'from', pg_catalog.pg_encoding_to_char(c.conforencoding),
        'to', pg_catalog.pg_encoding_to_char(c.contoencoding),
        'function', c.conproc::oid::regproc::text,
        'default', case when c.condefault then 'yes' else 'no' end,
        'comment', pg_catalog.obj_description(c.oid, 'pg_conversion'::name)
    )) as properties
from pg_catalog.pg_conversion c
where c.connamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_conversion'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
