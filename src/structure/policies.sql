-- Row security policies of the schemas' tables.
select
    c.relnamespace as namespace,
    'policy' as kind,
    c.relname as "table",
    p.polname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'command', case p.polcmd
            when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
        'permissive', case when p.polpermissive then 'yes' else 'no' end,
        'roles', (
            select pg_catalog.string_agg(
                case when r = 0::oid then 'public'::text else r::regrole::text end, ', '::text
                order by case when r = 0::oid then 'public'::text else r::regrole::text end collate "C")
            from pg_catalog.unnest(p.polroles) r
        ),
        'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid),
        'with check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
        'comment', pg_catalog.obj_description(p.oid, 'pg_policy'::name)
    )) as properties
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
where c.relnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
