-- Triggers of the schemas' tables and views, without those that PostgreSQL makes for foreign keys.
select
    c.relnamespace as namespace,
    'trigger' as kind,
    c.relname as "table",
    g.tgname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        -- The pretty form does not qualify the names of tables that are found by the path.
        'definition', pg_catalog.pg_get_triggerdef(g.oid, true),
        'enabled', case g.tgenabled when 'D' then 'no' when 'R' then 'on replicas' when 'A' then 'always' else 'yes' end,
        -- A partition has those of its parent.
        'from parent', case when g.tgparentid <> 0::oid then 'yes' end,
        'comment', pg_catalog.obj_description(g.oid, 'pg_trigger'::name)
    )) as properties
from pg_catalog.pg_trigger g
join pg_catalog.pg_class c on c.oid = g.tgrelid
where c.relnamespace = any ($1)
    and not g.tgisinternal
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
