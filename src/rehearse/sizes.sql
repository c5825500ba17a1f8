-- How large each of these schemas is with indexes and TOAST, in bytes, as the last VACUUM or ANALYZE has left it in the
-- catalog; what has never seen one is measured. Measuring waits for whoever has a relation to himself, and for whoever
-- waits to have it: what such a one holds counts for what the catalog says.
with held as materialized (
    select l.relation from pg_catalog.pg_locks l
     where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
       and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
)
select
    n.nspname::text as schema,
    sum(pages.of_relation + pages.of_toast)::int8 as bytes
from pg_catalog.pg_namespace n
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'm', 'i')
left join pg_catalog.pg_class t on t.oid = c.reltoastrelid
cross join lateral (
    select
        case when c.reltuples < 0 and c.oid not in (select h.relation from held h)
                then coalesce(pg_catalog.pg_relation_size(c.oid), 0)
            else c.relpages::int8 * pg_catalog.current_setting('block_size')::int8 end as of_relation,
        case when t.oid is null then 0
            when t.reltuples < 0 and t.oid not in (select h.relation from held h)
                then coalesce(pg_catalog.pg_relation_size(t.oid), 0)
            else t.relpages::int8 * pg_catalog.current_setting('block_size')::int8 end as of_toast
) pages
where n.nspname = any ($1)
group by n.nspname
