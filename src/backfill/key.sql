-- The table $2 of the schema $1, once for each unique index whose first column might cut it into batches.
select c.relkind::text as kind, a.attname::text as name, i.indisprimary as is_primary, i.indnkeyatts::int4 as columns,
       a.attnotnull as not_null,
       -- Types of other schemas with their schema: the search path of a batch is another one than here.
       case when n.nspname = 'pg_catalog' then pg_catalog.format_type(a.atttypid, a.atttypmod)
            when n.nspname is not null then pg_catalog.format('%I.%I', n.nspname, t.typname) end as type
  from pg_catalog.pg_class c
  left join pg_catalog.pg_index i
         on i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
        and i.indexprs is null
  left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
  left join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_namespace n on n.oid = t.typnamespace
 where c.relnamespace = $1 and c.relname = $2::name
 order by i.indisprimary desc, i.indnkeyatts, a.attname
