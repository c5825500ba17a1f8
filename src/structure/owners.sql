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
        p.proname::text || '('::text || pg_catalog.oidvectortypes(p.proargtypes) || ')'::text,
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
) o
