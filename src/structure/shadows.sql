-- Names in the schema $1 that pg_catalog has, too: PostgreSQL finds its own first.
select 'type' as kind, t.typname as name
from pg_catalog.pg_type t
join pg_catalog.pg_type own on own.typname = t.typname and own.typnamespace = 'pg_catalog'::regnamespace::oid
where t.typnamespace = $1
union all
select distinct 'function', p.proname
from pg_catalog.pg_proc p
join pg_catalog.pg_proc own on own.proname = p.proname and own.pronamespace = 'pg_catalog'::regnamespace::oid
where p.pronamespace = $1
union all
select 'relation', c.relname
from pg_catalog.pg_class c
join pg_catalog.pg_class own on own.relname = c.relname and own.relnamespace = 'pg_catalog'::regnamespace::oid
where c.relnamespace = $1
