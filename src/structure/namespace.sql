-- The schema named $1: its oid, and its name as PostgreSQL writes it in front of a dot and as a text.
select n.oid, pg_catalog.quote_ident(n.nspname::text) as identifier, pg_catalog.quote_literal(n.nspname::text) as literal
from pg_catalog.pg_namespace n
where n.nspname = $1::name
