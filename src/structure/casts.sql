-- Casts, which belong to no schema, where a type or the function of theirs is in one of the schemas $1. Those that came with
-- a range type go with it.
select
    n.oid as namespace,
    'cast' as kind,
    null as "table",
    pg_catalog.format_type(k.castsource, null) || ' AS '::text || pg_catalog.format_type(k.casttarget, null) as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'method', case k.castmethod when 'f' then 'function' when 'i' then 'input and output' else 'none' end,
        'function', case when k.castfunc <> 0::oid then k.castfunc::regprocedure::text end,
        'context', case k.castcontext when 'e' then 'explicit' when 'a' then 'assignment' else 'implicit' end,
        'comment', pg_catalog.obj_description(k.oid, 'pg_cast'::name)
    )) as properties
from pg_catalog.pg_cast k
join pg_catalog.pg_type source on source.oid = k.castsource
join pg_catalog.pg_type target on target.oid = k.casttarget
left join pg_catalog.pg_proc f on f.oid = k.castfunc
join pg_catalog.pg_namespace n
    on n.oid = source.typnamespace or n.oid = target.typnamespace or n.oid = f.pronamespace
where n.oid = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_cast'::regclass::oid and d.objid = k.oid and d.deptype in ('e', 'i')
    )
