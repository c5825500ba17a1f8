-- The tables of a schema that hold rows themselves, with the columns that are not computed from others. To the family of a
-- partition belong those it is a part of. Rows are hidden where a policy holds for whoever asks.
select
    c.relname::text as name,
    array(
        select a.relname::text
        from pg_catalog.pg_partition_ancestors(c.oid) of (relid)
        join pg_catalog.pg_class a on a.oid = of.relid
    ) as family,
    pg_catalog.pg_table_size(c.oid) as bytes,
    pg_catalog.pg_relation_size(c.oid) = 0 as is_empty,
    pg_catalog.row_security_active(c.oid) as is_hidden,
    c.reltuples::float8 as rows,
    coalesce((
        select pg_catalog.array_agg(a.attname::text order by a.attnum)
        from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ), '{}') as columns
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1
    and c.relkind = 'r'
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by c.oid
