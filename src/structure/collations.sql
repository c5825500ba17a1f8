-- Collations of the schemas $1, without the version of the library that they were made with.
select
    c.collnamespace as namespace,
    'collation' as kind,
    null as "table",
    c.collname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'provider', case c.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
        'deterministic', case when c.collisdeterministic then 'yes' else 'no' end,
        'lc_collate', c.collcollate,
        'lc_ctype', c.collctype,
        -- Called so since PostgreSQL 17, and something else before that; 14 has it in the two above.
        'locale', coalesce(
            pg_catalog.to_jsonb(c) ->> 'colllocale'::text,
            pg_catalog.to_jsonb(c) ->> 'colliculocale'::text
        ),
        'rules', pg_catalog.to_jsonb(c) ->> 'collicurules'::text,
        'comment', pg_catalog.obj_description(c.oid, 'pg_collation'::name)
    )) as properties
from pg_catalog.pg_collation c
where c.collnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_collation'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
