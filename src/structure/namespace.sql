-- The schema named $1: its oid, and its name as PostgreSQL writes it in front of a dot.
select n.oid, pg_catalog.quote_ident(n.nspname::text) as identifier
from pg_catalog.pg_namespace n
where n.nspname = $1::name
