-- Who may do what with the schemas $1 and with what is in them, by the names under which the other queries return it: a
-- property for each role. Where nobody has granted or revoked anything, what PostgreSQL gives by itself is told, so that a
-- grant that was taken back is as if it had not been. Who granted is not told, nor the owner's name.
select
    e.namespace,
    e.kind,
    e."table",
    e.name,
    pg_catalog.jsonb_object_agg(e.property, e.privileges) as properties
from (
    select
        o.namespace,
        o.kind,
        o."table",
        o.name,
        o.what || ' of '::text || g.grantee || o.scope as property,
        pg_catalog.string_agg(distinct g.privilege, ', '::text order by g.privilege) as privileges
    from (
        select
            n.oid as namespace,
            'schema' as kind,
            null::name as "table",
            ''::text as name,
            n.nspowner as owner,
            coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) as acl,
            'privileges'::text as what,
            ''::text as scope
        from pg_catalog.pg_namespace n
        where n.oid = any ($1)
        union all
        select
            n.oid,
            'schema',
            null,
            '',
            n.nspowner,
            d.defaclacl,
            'default privileges',
            case d.defaclobjtype when 'r' then ' on tables' when 'S' then ' on sequences' when 'f' then ' on functions'
                else ' on types' end
                || case when d.defaclrole <> n.nspowner
                    then ' made by '::text || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole)::text) else ''::text end
        from pg_catalog.pg_default_acl d
        join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
        where n.oid = any ($1)
        union all
        select
            c.relnamespace,
            case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialized_view' else 'table' end,
            null,
            c.relname::text,
            c.relowner,
            coalesce(c.relacl, pg_catalog.acldefault(case c.relkind when 'S' then 's'::"char" else 'r'::"char" end, c.relowner)),
            'privileges',
            ''
        from pg_catalog.pg_class c
        where c.relnamespace = any ($1) and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
        union all
        select c.relnamespace, 'column', c.relname, a.attname::text, c.relowner, a.attacl, 'privileges', ''
        from pg_catalog.pg_class c
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and not a.attisdropped and a.attacl is not null
        where c.relnamespace = any ($1)
        union all
        select
            p.pronamespace,
            case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
            null,
            pg_catalog.quote_ident(p.proname::text) || '('::text || pg_catalog.oidvectortypes(p.proargtypes) || ')'::text,
            p.proowner,
            coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)),
            'privileges',
            ''
        from pg_catalog.pg_proc p
        where p.pronamespace = any ($1)
        union all
        select
            t.typnamespace,
            'type',
            null,
            t.typname::text,
            t.typowner,
            coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)),
            'privileges',
            ''
        from pg_catalog.pg_type t
        where t.typnamespace = any ($1) and t.typtype in ('e', 'd', 'r', 'c')
    ) o
    cross join lateral (
        select
            case x.grantee when 0::oid then 'public'::text when o.owner then 'the owner'::text
                else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)::text) end as grantee,
            (x.privilege_type || case when x.is_grantable then ' with grant option'::text else ''::text end)
                collate "C" as privilege
        from pg_catalog.aclexplode(o.acl) x
    ) g
    group by o.namespace, o.kind, o."table", o.name, o.what, g.grantee, o.scope
) e
group by e.namespace, e.kind, e."table", e.name
