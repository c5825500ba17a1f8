-- Sequences of the schemas $1, without the values they have reached.
select
    c.relnamespace as namespace,
    'sequence' as kind,
    null as "table",
    c.relname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'type', pg_catalog.format_type(s.seqtypid, null),
        'start', s.seqstart::text,
        'increment', s.seqincrement::text,
        'minimum', s.seqmin::text,
        'maximum', s.seqmax::text,
        'cache', s.seqcache::text,
        'cycle', case when s.seqcycle then 'yes' else 'no' end,
        'persistence', case c.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' else 'permanent' end,
        'owned by', (
            select pg_catalog.quote_ident(t.relname::text) || '.'::text || pg_catalog.quote_ident(a.attname::text)
            from pg_catalog.pg_depend o
            join pg_catalog.pg_class t on t.oid = o.refobjid
            join pg_catalog.pg_attribute a on a.attrelid = o.refobjid and a.attnum = o.refobjsubid
            where o.classid = 'pg_class'::regclass::oid and o.objid = c.oid and o.objsubid = 0
                and o.refclassid = 'pg_class'::regclass::oid and o.deptype in ('a', 'i')
        ),
        'comment', pg_catalog.obj_description(c.oid, 'pg_class'::name)
    )) as properties
from pg_catalog.pg_class c
join pg_catalog.pg_sequence s on s.seqrelid = c.oid
where c.relnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
