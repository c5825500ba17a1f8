-- The sessions with these processes in this database, our own left out.
select a.pid, extract(epoch from a.backend_start)::text as started, a.usename::text as role, nullif(a.application_name, '') as application,
       case when a.client_addr is not null then pg_catalog.host(a.client_addr)
            when a.backend_type = 'client backend' then 'local'
            else a.backend_type end as client,
       a.state, (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::bigint as transaction_ms,
       pg_catalog.left(a.query, 200) as query
  from pg_catalog.pg_stat_activity a
 where a.pid = any ($1) and a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
 order by a.pid
