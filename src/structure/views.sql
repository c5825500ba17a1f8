-- Views and materialised views of the schemas $1.
select
    c.relnamespace as namespace,
    case c.relkind when 'v' then 'view' else 'materialized_view' end as kind,
    null as "table",
    c.relname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'definition', pg_catalog.pg_get_viewdef(c.oid),
        'options', (
            select pg_catalog.string_agg(o, ', '::text order by o collate "C")
            from pg_catalog.unnest(c.reloptions) o
        ),
        'toast storage parameters', (
            select pg_catalog.string_agg(o, ', '::text order by o collate "C")
            from pg_catalog.pg_class toast, pg_catalog.unnest(toast.reloptions) o
            where toast.oid = c.reltoastrelid
        ),
        'access method', am.amname,
        'tablespace', space.spcname,
        'comment', pg_catalog.obj_description(c.oid, 'pg_class'::name)
    )) as properties
from pg_catalog.pg_class c
left join pg_catalog.pg_am am on am.oid = c.relam
left join pg_catalog.pg_tablespace space on space.oid = c.reltablespace
where c.relnamespace = any ($1)
    and c.relkind in ('v', 'm')
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_class'::regclass::oid and d.objid = c.oid and d.deptype = 'e'
    )
