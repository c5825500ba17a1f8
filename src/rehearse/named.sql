-- Those of the names $2 that a table in one of the schemas $1 has.
select distinct c.relname::text
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and c.relname = any ($2) and c.relkind in ('r', 'p')
