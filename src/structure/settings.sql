-- Until the end of the (sub)transaction: names in the schema $1, a quoted name, are written without it, and
-- constants are written as nobody's settings would have it. pg_temp stands last, or temporary tables would come first.
select
    pg_catalog.set_config('search_path', $1::text || ', pg_temp'::text, true),
    pg_catalog.set_config('quote_all_identifiers', 'off', true),
    pg_catalog.set_config('standard_conforming_strings', 'on', true),
    pg_catalog.set_config('datestyle', 'ISO, YMD', true),
    pg_catalog.set_config('intervalstyle', 'postgres', true),
    pg_catalog.set_config('timezone', 'UTC', true),
    pg_catalog.set_config('bytea_output', 'hex', true),
    pg_catalog.set_config('extra_float_digits', '3', true),
    pg_catalog.set_config('lc_monetary', 'C', true),
    -- Compiling these queries would take longer than running them.
    pg_catalog.set_config('jit', 'off', true)
