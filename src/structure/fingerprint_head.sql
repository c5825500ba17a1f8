-- One hash for each schema and kind of object. What stands between the two halves gives `namespace`, `kind`, `table`, `name`
-- and `properties`, as for a snapshot, but with every name of the schema's own written with the schema's before it.
with own as materialized (
    -- The schema's name and a dot, as they stand in JSON, and the name as a text in quotes, as a function's settings have it.
    select n.oid,
        pg_catalog.substr(j.json, 2, pg_catalog.length(j.json) - 2) as prefix,
        pg_catalog.substr(k.json, 2, pg_catalog.length(k.json) - 2) as literal
    from pg_catalog.pg_namespace n
    cross join lateral (select pg_catalog.to_json(pg_catalog.quote_ident(n.nspname::text) || '.'::text)::text as json) j
    cross join lateral (
        select pg_catalog.to_json(''''::text || pg_catalog.replace(n.nspname::text, ''''::text, ''''''::text) || ''''::text)::text as json
    ) k
    where n.oid = any ($1)
), seen as (
    -- The types of the columns: else the first query would decide, and with `name` would cut longer names off.
    select null::oid as namespace, null::text as kind, null::text as "table", null::text as name, null::jsonb as properties
    where false
    union all
