-- Functions, procedures and aggregates of the schemas $1, which are then named with the types of their arguments. Those that came with
-- a range type go with it.
select
    p.pronamespace as namespace,
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind,
    null as "table",
    p.proname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'arguments', pg_catalog.oidvectortypes(p.proargtypes),
        -- PostgreSQL cannot write the definition of an aggregate: its parts follow.
        'definition', case when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid) end,
        'transition function', case when a.aggtransfn::oid <> 0::oid then a.aggtransfn::oid::regprocedure::text end,
        'state type', case when a.aggtranstype <> 0::oid then pg_catalog.format_type(a.aggtranstype, null) end,
        'initial state', a.agginitval,
        'final function', case when a.aggfinalfn::oid <> 0::oid then a.aggfinalfn::oid::regprocedure::text end,
        'combine function', case when a.aggcombinefn::oid <> 0::oid then a.aggcombinefn::oid::regprocedure::text end,
        'result type', case when a.aggfnoid is not null then pg_catalog.format_type(p.prorettype, null) end,
        'comment', pg_catalog.obj_description(p.oid, 'pg_proc'::name)
    )) as properties
from pg_catalog.pg_proc p
left join pg_catalog.pg_aggregate a on a.aggfnoid::oid = p.oid
where p.pronamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_proc'::regclass::oid and d.objid = p.oid and d.deptype in ('e', 'i')
    )
