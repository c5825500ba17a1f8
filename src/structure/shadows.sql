-- Names in the schema $1 that pg_catalog has, too: PostgreSQL finds its own first. An operator is found by its operands as
-- well, and bears the name that it has in a snapshot.
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
union all
select
    'operator',
    o.oprname::text || '('::text
        || case when o.oprleft = 0::oid then 'NONE'::text else pg_catalog.format_type(o.oprleft, null) end || ', '::text
        || pg_catalog.format_type(o.oprright, null) || ')'::text
from pg_catalog.pg_operator o
where o.oprnamespace = $1 and not pg_catalog.pg_operator_is_visible(o.oid)
union all
select 'operator class', c.opcname
from pg_catalog.pg_opclass c
join pg_catalog.pg_opclass own on own.opcname = c.opcname and own.opcnamespace = 'pg_catalog'::regnamespace::oid
where c.opcnamespace = $1
union all
select 'operator class', f.opfname
from pg_catalog.pg_opfamily f
join pg_catalog.pg_opfamily own on own.opfname = f.opfname and own.opfnamespace = 'pg_catalog'::regnamespace::oid
where f.opfnamespace = $1
union all
select 'collation', c.collname
from pg_catalog.pg_collation c
join pg_catalog.pg_collation own on own.collname = c.collname and own.collnamespace = 'pg_catalog'::regnamespace::oid
where c.collnamespace = $1
union all
select 'text search', d.dictname
from pg_catalog.pg_ts_dict d
join pg_catalog.pg_ts_dict own on own.dictname = d.dictname and own.dictnamespace = 'pg_catalog'::regnamespace::oid
where d.dictnamespace = $1
union all
select 'text search', c.cfgname
from pg_catalog.pg_ts_config c
join pg_catalog.pg_ts_config own on own.cfgname = c.cfgname and own.cfgnamespace = 'pg_catalog'::regnamespace::oid
where c.cfgnamespace = $1
union all
select 'conversion', c.conname
from pg_catalog.pg_conversion c
join pg_catalog.pg_conversion own on own.conname = c.conname and own.connamespace = 'pg_catalog'::regnamespace::oid
where c.connamespace = $1
