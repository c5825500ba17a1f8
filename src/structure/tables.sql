-- Tables of the schemas $1: what belongs to the table as a whole.
select
    c.relnamespace as namespace,
    'table' as kind,
    null as "table",
    c.relname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'kind', case c.relkind when 'p' then 'partitioned table' when 'f' then 'foreign table' else 'table' end,
        'persistence', case c.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' else 'permanent' end,
        'of type', case when c.reloftype <> 0::oid then pg_catalog.format_type(c.reloftype, null) end,
        'parents', (
            select pg_catalog.string_agg(i.inhparent::regclass::text, ', '::text order by i.inhseqno)
            from pg_catalog.pg_inherits i
            where i.inhrelid = c.oid
        ),
        'partition key', case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
        'partition bound', pg_catalog.pg_get_expr(c.relpartbound, c.oid),
        'row security', case when c.relrowsecurity then 'on' else 'off' end,
        'forced row security', case when c.relforcerowsecurity then 'on' else 'off' end,
        'replica identity', case when c.relkind <> 'f' then case c.relreplident when 'n' then 'nothing' when 'f' then 'full' when 'i' then 'index' end end,
        'access method', am.amname,
        'storage parameters', (
            select pg_catalog.string_agg(o, ', '::text order by o collate "C")
            from pg_catalog.unnest(c.reloptions) o
        ),
        'toast storage parameters', (
            select pg_catalog.string_agg(o, ', '::text order by o collate "C")
            from pg_catalog.pg_class toast, pg_catalog.unnest(toast.reloptions) o
            where toast.oid = c.reltoastrelid
                -- It outlives the columns that it was made for.
                and exists (
                    select from pg_catalog.pg_attribute a
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attlen = -1
                        and a.attstorage <> 'p'
                )
        ),
        'server', s.srvname,
        'options', (
            select pg_catalog.string_agg(
                pg_catalog.quote_ident(o.option_name) || ' '::text || pg_catalog.quote_literal(o.option_value),
                ', '::text order by o.option_name collate "C")
            from pg_catalog.pg_options_to_table(f.ftoptions) o
        ),
        'tablespace', space.spcname,
        'comment', pg_catalog.obj_description(c.oid, 'pg_class'::name)
    )) as properties
from pg_catalog.pg_class c
left join pg_catalog.pg_am am on am.oid = c.relam
left join pg_catalog.pg_tablespace space on space.oid = c.reltablespace
left join pg_catalog.pg_foreign_table f on f.ftrelid = c.oid
left join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
where c.relnamespace = any ($1)
    and c.relkind in ('r', 'p', 'f')
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
