-- Operators of the schemas $1, named with the types of their operands. One without a function was only announced, as the
-- commutator or negator of another.
select
    o.oprnamespace as namespace,
    'operator' as kind,
    null as "table",
    o.oprname::text || '('::text
        || case when o.oprleft = 0::oid then 'NONE'::text else pg_catalog.format_type(o.oprleft, null) end || ', '::text
        || pg_catalog.format_type(o.oprright, null) || ')'::text as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'function', case when o.oprcode::oid <> 0::oid then o.oprcode::oid::regproc::text end,
        'result type', case when o.oprresult <> 0::oid then pg_catalog.format_type(o.oprresult, null) end,
        'commutator', (
            select 'OPERATOR('::text || case when n.nspname = 'pg_catalog'::name or not pg_catalog.pg_operator_is_visible(c.oid)
                then pg_catalog.quote_ident(n.nspname::text) || '.'::text else ''::text end || c.oprname::text || ')'::text
            from pg_catalog.pg_operator c
            join pg_catalog.pg_namespace n on n.oid = c.oprnamespace
            where c.oid = o.oprcom
        ),
        'negator', (
            select 'OPERATOR('::text || case when n.nspname = 'pg_catalog'::name or not pg_catalog.pg_operator_is_visible(c.oid)
                then pg_catalog.quote_ident(n.nspname::text) || '.'::text else ''::text end || c.oprname::text || ')'::text
            from pg_catalog.pg_operator c
            join pg_catalog.pg_namespace n on n.oid = c.oprnamespace
            where c.oid = o.oprnegate
        ),
        'restriction estimator', case when o.oprrest::oid <> 0::oid then o.oprrest::oid::regproc::text end,
        'join estimator', case when o.oprjoin::oid <> 0::oid then o.oprjoin::oid::regproc::text end,
        'hashes', case when o.oprcanhash then 'yes' end,
        'merges', case when o.oprcanmerge then 'yes' end,
        'comment', pg_catalog.obj_description(o.oid, 'pg_operator'::name)
    )) as properties
from pg_catalog.pg_operator o
where o.oprnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_operator'::regclass::oid and d.objid = o.oid and d.deptype = 'e'
    )
