-- Enumerations, domains, composite types and ranges of the schemas $1, and types that are only announced; without the
-- row types of tables.
select
    t.typnamespace as namespace,
    'type' as kind,
    null as "table",
    t.typname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'kind', case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite'
            when 'p' then 'shell' else 'range' end,
        'labels', (
            select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel::text), ', '::text order by e.enumsortorder)
            from pg_catalog.pg_enum e
            where e.enumtypid = t.oid
        ),
        'attributes', (
            select pg_catalog.string_agg(
                pg_catalog.quote_ident(a.attname::text) || ' '::text || pg_catalog.format_type(a.atttypid, a.atttypmod)
                    || case when a.attcollation <> at.typcollation
                        then ' collate '::text || a.attcollation::regcollation::text else ''::text end,
                ', '::text order by a.attnum)
            from pg_catalog.pg_attribute a
            join pg_catalog.pg_type at on at.oid = a.atttypid
            where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
        ),
        'base type', case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end,
        'collation', case when t.typtype = 'd' and t.typcollation <> base.typcollation
            then t.typcollation::regcollation::text end,
        'not null', case when t.typtype = 'd' then case when t.typnotnull then 'yes' else 'no' end end,
        'default', case when t.typtype = 'd' then pg_catalog.pg_get_expr(t.typdefaultbin, 0::oid) end,
        'subtype', pg_catalog.format_type(g.rngsubtype, null),
        'subtype operator class', (
            select case when pg_catalog.pg_opclass_is_visible(o.oid) then ''::text
                else pg_catalog.quote_ident(n.nspname::text) || '.'::text end || pg_catalog.quote_ident(o.opcname::text)
            from pg_catalog.pg_opclass o
            join pg_catalog.pg_namespace n on n.oid = o.opcnamespace
            where o.oid = g.rngsubopc and not o.opcdefault
        ),
        'subtype collation', case when g.rngcollation <> subtype.typcollation then g.rngcollation::regcollation::text end,
        'subtype difference', case when g.rngsubdiff::oid <> 0::oid then g.rngsubdiff::oid::regproc::text end,
        'canonical function', case when g.rngcanonical::oid <> 0::oid then g.rngcanonical::oid::regproc::text end,
        'multirange type', pg_catalog.quote_ident(m.typname::text),
        'comment', pg_catalog.obj_description(t.oid, 'pg_type'::name)
    ) || coalesce((
        select pg_catalog.jsonb_object_agg('constraint '::text || k.conname::text, pg_catalog.pg_get_constraintdef(k.oid))
        from pg_catalog.pg_constraint k
        where k.contypid = t.oid and k.contype <> 'n'
    ), '{}'::jsonb) || coalesce((
        select pg_catalog.jsonb_object_agg('comment on '::text || a.attname::text, pg_catalog.col_description(r.oid, a.attnum::int4))
        from pg_catalog.pg_attribute a
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    ), '{}'::jsonb) || coalesce((
        select pg_catalog.jsonb_object_agg(
            'comment on '::text || k.conname::text, pg_catalog.obj_description(k.oid, 'pg_constraint'::name))
        from pg_catalog.pg_constraint k
        where k.contypid = t.oid
    ), '{}'::jsonb)) as properties
from pg_catalog.pg_type t
left join pg_catalog.pg_class r on r.oid = t.typrelid
left join pg_catalog.pg_type base on base.oid = t.typbasetype
left join pg_catalog.pg_range g on g.rngtypid = t.oid
left join pg_catalog.pg_type subtype on subtype.oid = g.rngsubtype
left join pg_catalog.pg_type m on m.oid = g.rngmultitypid
where t.typnamespace = any ($1)
    and (t.typtype in ('e', 'd', 'r') or t.typtype = 'p' and not t.typisdefined or r.relkind = 'c')
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_type'::regclass::oid and d.objid = t.oid and d.deptype = 'e'
    )
