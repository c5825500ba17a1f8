-- Text search dictionaries of the schemas $1, and configurations with a property for each type of token.
select
    d.dictnamespace as namespace,
    'text_search_dictionary' as kind,
    null as "table",
    d.dictname as name,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'template', case when pg_catalog.pg_ts_template_is_visible(t.oid) then ''::text
            else t.tmplnamespace::regnamespace::text || '.'::text end || pg_catalog.quote_ident(t.tmplname::text),
        'options', d.dictinitoption,
        'comment', pg_catalog.obj_description(d.oid, 'pg_ts_dict'::name)
    )) as properties
from pg_catalog.pg_ts_dict d
join pg_catalog.pg_ts_template t on t.oid = d.dicttemplate
where d.dictnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend e
        where e.classid = 'pg_ts_dict'::regclass::oid and e.objid = d.oid and e.deptype = 'e'
    )
union all
select
    c.cfgnamespace,
    'text_search_configuration',
    null,
    c.cfgname,
    pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'parser', case when pg_catalog.pg_ts_parser_is_visible(p.oid) then ''::text
            else p.prsnamespace::regnamespace::text || '.'::text end || pg_catalog.quote_ident(p.prsname::text),
        'comment', pg_catalog.obj_description(c.oid, 'pg_ts_config'::name)
    )) || coalesce((
        select pg_catalog.jsonb_object_agg('dictionaries for '::text || one.alias, one.dictionaries)
        from (
            select
                k.alias,
                pg_catalog.string_agg(m.mapdict::regdictionary::text, ', '::text order by m.mapseqno) as dictionaries
            from pg_catalog.pg_ts_config_map m
            join pg_catalog.ts_token_type(c.cfgparser) k on k.tokid = m.maptokentype
            where m.mapcfg = c.oid
            group by k.alias
        ) one
    ), '{}'::jsonb)
from pg_catalog.pg_ts_config c
join pg_catalog.pg_ts_parser p on p.oid = c.cfgparser
where c.cfgnamespace = any ($1)
    and not exists (
        select from pg_catalog.pg_depend e
        where e.classid = 'pg_ts_config'::regclass::oid and e.objid = c.oid and e.deptype = 'e'
    )
