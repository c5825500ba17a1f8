-- The foreign keys of a schema's tables that hold for all rows; of a partitioned table only its own.
select
    k.conname::text as name,
    c.relname::text as child,
    n.nspname::text as parent_schema,
    p.relname::text as parent,
    (select pg_catalog.array_agg(a.attname::text order by u.position)
       from pg_catalog.unnest(k.conkey) with ordinality u (number, position)
       join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number) as child_columns,
    (select pg_catalog.array_agg(a.attname::text order by u.position)
       from pg_catalog.unnest(k.confkey) with ordinality u (number, position)
       join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number) as parent_columns,
    k.convalidated as is_valid
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace own on own.oid = c.relnamespace
join pg_catalog.pg_class p on p.oid = k.confrelid
join pg_catalog.pg_namespace n on n.oid = p.relnamespace
where own.nspname = $1 and k.contype = 'f' and k.conparentid = 0
order by k.oid
