-- Materialised views of the schemas $1 that hold nothing yet, nor an empty result: they cannot be read from.
select
    c.relnamespace as namespace,
    'materialized_view' as kind,
    null as "table",
    c.relname as name,
    '{"populated": "no"}'::jsonb as properties
from pg_catalog.pg_class c
where c.relnamespace = any ($1) and c.relkind = 'm' and not c.relispopulated
