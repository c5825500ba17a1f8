-- The tables of the schema $1 that rows can be put into, and the types of their columns, as one document.
with recursive tables as (
    select c.oid, c.relname
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1
        and c.relkind in ('r', 'p')
        and not c.relispartition
        and not exists (
            select from pg_catalog.pg_depend d
            where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
        )
), columns as (
    select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated,
        pg_catalog.pg_get_expr(d.adbin, d.adrelid) as expression
    from tables t
    join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
), used(oid) as (
    select atttypid from columns
    union
    select next.oid
    from used
    join pg_catalog.pg_type t on t.oid = used.oid
    cross join lateral (
        select t.typbasetype where t.typtype = 'd'
        union all
        select t.typelem where t.typcategory = 'A'
        union all
        select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
        union all
        select r.rngtypid from pg_catalog.pg_range r
        where t.typtype = 'm' and (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid
        union all
        select a.atttypid from pg_catalog.pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) next(oid)
)
select pg_catalog.jsonb_build_object(
    'tables', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'name', t.relname,
            'touchy', exists (
                select from pg_catalog.pg_trigger g
                where g.tgrelid = t.oid and not g.tgisinternal and g.tgtype & 16 <> 0
            ),
            'columns', coalesce((
                select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'name', a.attname,
                    'type', a.atttypid::int8,
                    'modifier', a.atttypmod,
                    'not_null', a.attnotnull,
                    'identity', a.attidentity <> '',
                    'generated', a.attgenerated <> '',
                    'default', a.expression is not null
                ) order by a.attnum)
                from columns a
                where a.attrelid = t.oid
            ), '[]'),
            'checks', coalesce((
                select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'columns', coalesce((
                        select pg_catalog.jsonb_agg(a.attname order by a.attnum)
                        from pg_catalog.pg_attribute a
                        where a.attrelid = t.oid and a.attnum = any (k.conkey)
                    ), '[]'),
                    'definition', pg_catalog.pg_get_constraintdef(k.oid)
                ) order by k.conname)
                from pg_catalog.pg_constraint k
                where k.conrelid = t.oid and k.contype = 'c'
            ), '[]'),
            'references', coalesce((
                select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'schema', fn.nspname,
                    'table', f.relname,
                    'pairs', (
                        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(x.attname, y.attname) order by p.place)
                        from rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) with ordinality p(ours, theirs, place)
                        join pg_catalog.pg_attribute x on x.attrelid = t.oid and x.attnum = p.ours
                        join pg_catalog.pg_attribute y on y.attrelid = f.oid and y.attnum = p.theirs
                    )
                ) order by k.conname)
                from pg_catalog.pg_constraint k
                join pg_catalog.pg_class f on f.oid = k.confrelid
                join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
                where k.conrelid = t.oid and k.contype = 'f'
            ), '[]')
        ) order by t.relname)
        from tables t
    ), '[]'),
    'types', coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'oid', t.oid::int8,
            'name', t.typname,
            'kind', t.typtype,
            'category', t.typcategory,
            'base', t.typbasetype::int8,
            'modifier', t.typtypmod,
            'element', t.typelem::int8,
            'not_null', t.typnotnull,
            'range', coalesce((
                select r.rngsubtype::int8 from pg_catalog.pg_range r where r.rngtypid = t.oid
            ), (
                select r.rngtypid::int8 from pg_catalog.pg_range r
                where t.typtype = 'm' and (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid
            ), 0),
            'labels', coalesce((
                select pg_catalog.jsonb_agg(e.enumlabel order by e.enumsortorder)
                from pg_catalog.pg_enum e
                where e.enumtypid = t.oid
            ), '[]'),
            'attributes', coalesce((
                select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(a.atttypid::int8, a.atttypmod) order by a.attnum)
                from pg_catalog.pg_attribute a
                where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            ), '[]'),
            'checks', coalesce((
                select pg_catalog.jsonb_agg(pg_catalog.pg_get_constraintdef(k.oid) order by k.conname)
                from pg_catalog.pg_constraint k
                where k.contypid = t.oid and k.contype = 'c'
            ), '[]')
        ))
        from (select distinct oid from used) u
        join pg_catalog.pg_type t on t.oid = u.oid
    ), '[]')
)
