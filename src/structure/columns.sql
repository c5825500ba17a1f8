-- Columns of the schemas' tables and views. Positions are counted anew, because dropped columns leave gaps in attnum.
select
    c.relnamespace as namespace,
    'column' as kind,
    c.relname as "table",
    a.attname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'position', (pg_catalog.row_number() over (partition by c.oid order by a.attnum))::text,
        'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'collation', case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end,
        -- PostgreSQL 18 keeps NOT NULL as a constraint, which may not have been validated.
        'not null', case when not a.attnotnull then 'no' when n.oid is null then 'yes' else 'not validated' end,
        'default', case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
        'generated', case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid)
            || case a.attgenerated when 's' then ' stored'::text else ' virtual'::text end end,
        'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
        'storage', case when a.attstorage <> t.typstorage and c.relkind <> 'v' then
            case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end,
        'compression', case a.attcompression when 'p' then 'pglz' when 'l' then 'lz4' end,
        'options', (
            select pg_catalog.string_agg(o, ', '::text order by o collate "C")
            from pg_catalog.unnest(a.attoptions) o
        ),
        'foreign options', (
            select pg_catalog.string_agg(
                pg_catalog.quote_ident(o.option_name) || ' '::text || pg_catalog.quote_literal(o.option_value),
                ', '::text order by o.option_name collate "C")
            from pg_catalog.pg_options_to_table(a.attfdwoptions) o
        ),
        -- Goes where the parent's goes. One that the table has of its own as well stays.
        'inherited', case when not a.attislocal and not c.relispartition then 'yes' end,
        'statistics target', case when a.attstattarget >= 0 then a.attstattarget::text end,
        'comment', pg_catalog.col_description(c.oid, a.attnum::int4)
    )) as properties
from pg_catalog.pg_class c
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
left join pg_catalog.pg_constraint n
    on n.conrelid = c.oid and n.contype = 'n' and a.attnum = any (n.conkey) and not n.convalidated
where c.relnamespace = any ($1)
    and c.relkind in ('r', 'p', 'f', 'v', 'm')
    and not exists (
        select from pg_catalog.pg_depend e
        where e.classid = 'pg_class'::regclass::oid and e.objid = c.oid and e.deptype = 'e'
    )
