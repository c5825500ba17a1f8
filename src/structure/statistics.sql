-- Extended statistics objects of the schemas $1.
select
    s.stxnamespace as namespace,
    'statistics' as kind,
    c.relname as "table",
    s.stxname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'definition', pg_catalog.pg_get_statisticsobjdef(s.oid),
        'statistics target', case when s.stxstattarget >= 0 then s.stxstattarget::text end,
        'comment', pg_catalog.obj_description(s.oid, 'pg_statistic_ext'::name)
    )) as properties
from pg_catalog.pg_statistic_ext s
join pg_catalog.pg_class c on c.oid = s.stxrelid
where s.stxnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_statistic_ext'::regclass::oid and d.objid = s.oid and d.deptype = 'e'
    )
