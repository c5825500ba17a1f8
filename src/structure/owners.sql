-- Who owns the schemas $1 and what is in them, by the names under which the other queries return it. What else is
-- returned, such as the row types of tables, belongs to nothing that they return.
select
    o.namespace,
    o.kind,
    o."table",
    o.name,
    pg_catalog.jsonb_build_object('owner', pg_catalog.pg_get_userbyid(o.owner)) as properties
from (
    select n.oid as namespace, 'schema' as kind, null::name as "table", ''::text as name, n.nspowner as owner
    from pg_catalog.pg_namespace n
    where n.oid = any ($1)
    union all
    select
        c.relnamespace,
        case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized_view' else 'table' end,
        null,
        c.relname::text,
        c.relowner
    from pg_catalog.pg_class c
    where c.relnamespace = any ($1) and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
    union all
    select
        p.pronamespace,
        case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
        null,
        pg_catalog.quote_ident(p.proname::text) || '('::text || pg_catalog.oidvectortypes(p.proargtypes) || ')'::text,
        p.proowner
    from pg_catalog.pg_proc p
    where p.pronamespace = any ($1)
    union all
    select t.typnamespace, 'type', null, t.typname::text, t.typowner
    from pg_catalog.pg_type t
    where t.typnamespace = any ($1) and t.typtype in ('e', 'd', 'r', 'c')
    union all
    select s.stxnamespace, 'statistics', c.relname, s.stxname::text, s.stxowner
    from pg_catalog.pg_statistic_ext s
    join pg_catalog.pg_class c on c.oid = s.stxrelid
    where s.stxnamespace = any ($1)
    union all
    select e.extnamespace, 'extension', null, e.extname::text, e.extowner
    from pg_catalog.pg_extension e
    where e.extnamespace = any ($1)
    union all
    select
        p.oprnamespace,
        'operator',
        null,
        p.oprname::text || '('::text
            || case when p.oprleft = 0::oid then 'NONE'::text else pg_catalog.format_type(p.oprleft, null) end || ', '::text
            || pg_catalog.format_type(p.oprright, null) || ')'::text,
        p.oprowner
    from pg_catalog.pg_operator p
    where p.oprnamespace = any ($1)
    union all
    select f.opfnamespace, 'operator_family', null, f.opfname::text || ' using '::text || a.amname::text, f.opfowner
    from pg_catalog.pg_opfamily f
    join pg_catalog.pg_am a on a.oid = f.opfmethod
    where f.opfnamespace = any ($1)
    union all
    select c.opcnamespace, 'operator_class', null, c.opcname::text || ' using '::text || a.amname::text, c.opcowner
    from pg_catalog.pg_opclass c
    join pg_catalog.pg_am a on a.oid = c.opcmethod
    where c.opcnamespace = any ($1)
    union all
    select c.collnamespace, 'collation', null, c.collname::text, c.collowner
    from pg_catalog.pg_collation c
    where c.collnamespace = any ($1)
    union all
    select c.connamespace, 'conversion', null, c.conname::text, c.conowner
    from pg_catalog.pg_conversion c
    where c.connamespace = any ($1)
    union all
    select d.dictnamespace, 'text_search_dictionary', null, d.dictname::text, d.dictowner
    from pg_catalog.pg_ts_dict d
    where d.dictnamespace = any ($1)
    union all
    select c.cfgnamespace, 'text_search_configuration', null, c.cfgname::text, c.cfgowner
    from pg_catalog.pg_ts_config c
    where c.cfgnamespace = any ($1)
) o
