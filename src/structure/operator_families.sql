-- Operator families of the schemas $1, each with the operators and functions, a line each, that belong to none of its classes.
select
    f.opfnamespace as namespace,
    'operator_family' as kind,
    null as "table",
    f.opfname::text || ' using '::text || a.amname::text as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'operators', (
            select pg_catalog.string_agg(
                m.amopstrategy::text || ' OPERATOR('::text || case when n.nspname = 'pg_catalog'::name or not pg_catalog.pg_operator_is_visible(o.oid)
                    then pg_catalog.quote_ident(n.nspname::text) || '.'::text else ''::text end
                    || o.oprname::text || ')('::text || pg_catalog.format_type(m.amoplefttype, null) || ', '::text
                    || pg_catalog.format_type(m.amoprighttype, null) || ')'::text
                    || case when m.amoppurpose = 'o' then ' FOR ORDER BY '::text || case
                        when pg_catalog.pg_opfamily_is_visible(s.oid) then ''::text
                        else s.opfnamespace::regnamespace::text || '.'::text end
                        || pg_catalog.quote_ident(s.opfname::text) else ''::text end,
                E'\n'::text
                order by m.amopstrategy, pg_catalog.format_type(m.amoplefttype, null) collate "C",
                    pg_catalog.format_type(m.amoprighttype, null) collate "C")
            from pg_catalog.pg_amop m
            join pg_catalog.pg_operator o on o.oid = m.amopopr
            join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
            left join pg_catalog.pg_opfamily s on s.oid = m.amopsortfamily
            where m.amopfamily = f.oid
                and not exists (
                    select from pg_catalog.pg_depend d
                    where d.classid = 'pg_amop'::regclass::oid and d.objid = m.oid
                        and d.refclassid = 'pg_opclass'::regclass::oid
                )
        ),
        'functions', (
            select pg_catalog.string_agg(
                m.amprocnum::text || ' ('::text || pg_catalog.format_type(m.amproclefttype, null) || ', '::text
                    || pg_catalog.format_type(m.amprocrighttype, null) || ') '::text || m.amproc::oid::regprocedure::text,
                E'\n'::text
                order by m.amprocnum, pg_catalog.format_type(m.amproclefttype, null) collate "C",
                    pg_catalog.format_type(m.amprocrighttype, null) collate "C")
            from pg_catalog.pg_amproc m
            where m.amprocfamily = f.oid
                and not exists (
                    select from pg_catalog.pg_depend d
                    where d.classid = 'pg_amproc'::regclass::oid and d.objid = m.oid
                        and d.refclassid = 'pg_opclass'::regclass::oid
                )
        ),
        'comment', pg_catalog.obj_description(f.oid, 'pg_opfamily'::name)
    )) as properties
from pg_catalog.pg_opfamily f
join pg_catalog.pg_am a on a.oid = f.opfmethod
where f.opfnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_opfamily'::regclass::oid and d.objid = f.oid and d.deptype = 'e'
    )
