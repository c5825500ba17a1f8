-- Who waits for a lock in this database (or the backend $1 alone), for what, and who is in the way: a row for each pair.
--
-- Who waits is taken from pg_locks, which tells it of other roles' sessions as well; pg_stat_activity does not.
with locks as materialized (
    select l.pid, l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid,
           l.objsubid, l.virtualtransaction, l.mode, l.granted, l.waitstart
      from pg_catalog.pg_locks l
     -- Of those that are held, the ones of prepared transactions, and of rows that somebody queues for.
     where not l.granted or l.pid is null or l.locktype = 'tuple'
), activity as materialized (
    select a.pid, a.datid, a.usename::text as role, nullif(a.application_name, '') as application,
           case when a.client_addr is not null then pg_catalog.host(a.client_addr)
                when a.backend_type = 'client backend' then 'local'
                else a.backend_type end as client,
           a.state, (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::bigint as transaction_ms,
           pg_catalog.left(a.query, 200) as query
      from pg_catalog.pg_stat_activity a
), waiting as (
    select l.*, coalesce(l.relation, t.relation) as at,
           (extract(epoch from pg_catalog.clock_timestamp() - l.waitstart) * 1000)::bigint as waited_ms
      from locks l
      -- Who waits for the end of a transaction holds the place in the queue for its row.
      left join lateral (
          select h.relation from locks h where h.pid = l.pid and h.granted and h.locktype = 'tuple' limit 1
      ) t on l.locktype = 'transactionid'
     where not l.granted and l.pid is not null and ($1::integer is null or l.pid = $1)
)
select w.pid as waiter, w.mode, w.waited_ms, n.nspname::text as schema,
       case when w.locktype = 'advisory' then 'an advisory lock'
            when w.locktype in ('transactionid', 'tuple') then 'a row' || coalesce(' of ' || c.oid::regclass::text, '')
            when c.oid is not null then pg_catalog.format('%I.%I', n.nspname, c.relname)
            else w.locktype end as what,
       a.role, a.application, a.client, a.state, a.transaction_ms, a.query,
       h.pid as holder, p.gid as holder_prepared, coalesce(h.role, p.owner::text) as holder_role,
       h.application as holder_application, h.client as holder_client, h.state as holder_state,
       coalesce(h.transaction_ms, p.age_ms) as holder_transaction_ms, h.query as holder_query
  from waiting w
  join activity a on a.pid = w.pid
                 and a.datid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  left join pg_catalog.pg_class c on c.oid = w.at
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  -- 0 stands for a prepared transaction, which has no process.
  left join lateral (select distinct b.pid from pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) b (pid)) b on true
  left join activity h on h.pid = b.pid
  left join lateral (
      select x.gid, x.owner, (extract(epoch from pg_catalog.clock_timestamp() - x.prepared) * 1000)::bigint as age_ms
        from locks l
        -- The lock on its own number tells which transaction it is.
        join locks own on own.pid is null and own.locktype = 'transactionid' and own.granted
                      and own.virtualtransaction = l.virtualtransaction
        join pg_catalog.pg_prepared_xacts x on x.transaction = own.transactionid
       where l.pid is null and l.granted and l.locktype = w.locktype
         and (l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)
             is not distinct from
             (w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid)
  ) p on b.pid = 0
 order by w.waited_ms desc nulls last, w.pid, h.transaction_ms desc nulls last, h.pid
