-- The relations of schema $1, and those outside it that this session holds locks on, with what the running transaction has
-- done to them. Found by what depends on the schema, for which there is an index: a fleet has very many relations.
with of_schema as materialized (
    select d.objid as oid
    from pg_catalog.pg_depend d
    where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = $1
        and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
),
own as materialized (
    select oid from of_schema
    union
    select i.indexrelid from of_schema o join pg_catalog.pg_index i on i.indrelid = o.oid
),
held as materialized (
    select l.relation as oid, pg_catalog.array_agg(l.mode) as modes
    from pg_catalog.pg_locks l
    where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted
        and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
    group by l.relation
)
select
    a.oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    pg_catalog.int8(c.relfilenode) as filenode,
    i.indrelid as of_table,
    coalesce(held.modes, '{}') as modes,
    pg_catalog.pg_stat_get_xact_numscans(a.oid) as scans,
    pg_catalog.pg_stat_get_xact_tuples_returned(a.oid) as rows_read,
    pg_catalog.pg_stat_get_xact_tuples_inserted(a.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(a.oid)
        + pg_catalog.pg_stat_get_xact_tuples_deleted(a.oid) as rows_changed,
    c.reltuples::float8 as rows
from (select oid from own union select oid from held) a
left join held on held.oid = a.oid
left join pg_catalog.pg_class c on c.oid = a.oid
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_index i on i.indexrelid = a.oid
where c.oid is null
    or (n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema', 'tenantry') and c.relpersistence <> 't')
