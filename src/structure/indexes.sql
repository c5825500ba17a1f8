-- Indexes of the schemas' tables and materialised views, those behind constraints included: they have settings of their
-- own.
select
    t.relnamespace as namespace,
    'index' as kind,
    t.relname as "table",
    c.relname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'definition', pg_catalog.pg_get_indexdef(c.oid),
        'valid', case when i.indisvalid and i.indisready and i.indislive then 'yes' else 'no' end,
        'part of', (
            select pg_catalog.string_agg(p.inhparent::regclass::text, ', '::text order by p.inhseqno)
            from pg_catalog.pg_inherits p
            where p.inhrelid = c.oid
        ),
        'tablespace', space.spcname,
        'statistics targets', (
            select pg_catalog.string_agg(a.attnum::text || ': '::text || a.attstattarget::text, ', '::text order by a.attnum)
            from pg_catalog.pg_attribute a
            where a.attrelid = c.oid and a.attstattarget >= 0
        ),
        'clustered', case when i.indisclustered then 'yes' end,
        'replica identity', case when i.indisreplident then 'yes' end,
        'comment', pg_catalog.obj_description(c.oid, 'pg_class'::name)
    )) as properties
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_class t on t.oid = i.indrelid
left join pg_catalog.pg_tablespace space on space.oid = c.reltablespace
where t.relnamespace = any ($1)
    and t.relkind in ('r', 'p', 'm')
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = t.oid and d.deptype = 'e'
    )
