-- Functions, procedures and aggregates of the schemas $1, named with the types of their arguments. Those that came with
-- a range type go with it.
select
    p.pronamespace as namespace,
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end as kind,
    null as "table",
    pg_catalog.quote_ident(p.proname::text) || '('::text || pg_catalog.oidvectortypes(p.proargtypes) || ')'::text as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'types', pg_catalog.oidvectortypes(p.proargtypes),
        -- PostgreSQL cannot write the definition of an aggregate: its parts follow.
        'definition', case when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid) end,
        'arguments', case when p.prokind = 'a' then pg_catalog.pg_get_function_identity_arguments(p.oid) end,
        'kind', case a.aggkind when 'o' then 'ordered set' when 'h' then 'hypothetical set' end,
        'transition function', case when a.aggtransfn::oid <> 0::oid then a.aggtransfn::oid::regprocedure::text end,
        'state type', case when a.aggtranstype <> 0::oid then pg_catalog.format_type(a.aggtranstype, null) end,
        'state size', case when a.aggtransspace <> 0 then a.aggtransspace::text end,
        'initial state', a.agginitval,
        'final function', case when a.aggfinalfn::oid <> 0::oid then a.aggfinalfn::oid::regprocedure::text end,
        'final function takes', case when a.aggfinalextra then 'the arguments' end,
        'final function changes', case when a.aggfinalmodify <> case a.aggkind when 'n' then 'r'::"char" else 'w'::"char" end
            then case a.aggfinalmodify when 'r' then 'read_only' when 's' then 'shareable' else 'read_write' end end,
        'combine function', case when a.aggcombinefn::oid <> 0::oid then a.aggcombinefn::oid::regprocedure::text end,
        'serial function', case when a.aggserialfn::oid <> 0::oid then a.aggserialfn::oid::regprocedure::text end,
        'deserial function', case when a.aggdeserialfn::oid <> 0::oid then a.aggdeserialfn::oid::regprocedure::text end,
        'moving transition function', case when a.aggmtransfn::oid <> 0::oid then a.aggmtransfn::oid::regprocedure::text end,
        'moving inverse function', case when a.aggminvtransfn::oid <> 0::oid then a.aggminvtransfn::oid::regprocedure::text end,
        'moving state type', case when a.aggmtranstype <> 0::oid then pg_catalog.format_type(a.aggmtranstype, null) end,
        'moving state size', case when a.aggmtransspace <> 0 then a.aggmtransspace::text end,
        'moving initial state', a.aggminitval,
        'moving final function', case when a.aggmfinalfn::oid <> 0::oid then a.aggmfinalfn::oid::regprocedure::text end,
        'moving final function takes', case when a.aggmfinalextra then 'the arguments' end,
        'moving final function changes', case
            when a.aggmfinalmodify <> case a.aggkind when 'n' then 'r'::"char" else 'w'::"char" end
            then case a.aggmfinalmodify when 'r' then 'read_only' when 's' then 'shareable' else 'read_write' end end,
        'sort operator', (
            select 'OPERATOR('::text || case when n.nspname = 'pg_catalog'::name or not pg_catalog.pg_operator_is_visible(o.oid)
                then pg_catalog.quote_ident(n.nspname::text) || '.'::text else ''::text end || o.oprname::text || ')'::text
            from pg_catalog.pg_operator o
            join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
            where o.oid = a.aggsortop
        ),
        'parallel', case when p.prokind = 'a' then case p.proparallel when 's' then 'safe' when 'r' then 'restricted' end end,
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
