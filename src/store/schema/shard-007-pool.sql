-- The warm pool: schemas that are built ahead and become a new tenant's by getting its name.

-- Such a schema has a head and a history like any other, and a name that no tenant can have: tenantry_pool_ and a number.
-- Whoever moves the fleet leaves it alone; the daemons keep it where a new tenant would be. Those that may be handed out:
create table tenantry.pool (
    schema_name text primary key,
    ready_at    timestamptz not null default clock_timestamp()
);

-- Makes a schema for the pool and pins it, unless there are p_most already: then null, else its name. Several may try at once.
create function tenantry.pool_make(p_most bigint) returns text
language plpgsql volatile as $$
declare
    made text := 'tenantry_pool_' || pg_catalog.left(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 16);
begin
    -- Held for no longer than this takes: none of the statements waits for an application.
    perform pg_catalog.pg_advisory_xact_lock(1953395321, 2);
    if (select pg_catalog.count(*) from tenantry.heads h where pg_catalog.starts_with(h.schema_name, 'tenantry_pool_')) >= p_most then
        return null;
    end if;
    execute pg_catalog.format('create schema %I', made);
    insert into tenantry.heads (schema_oid, schema_name)
    select n.oid, n.nspname from pg_catalog.pg_namespace n where n.nspname = made::name;
    return made;
end
$$;

-- Gives a schema of the pool, one that stands where p_digest and p_repeatables say, the name of a new tenant. Its OID; null
-- where there is none, or where the name is taken. Never waits. Whoever has begun to move it is refused from now on.
create function tenantry.pool_hand_out(p_name text, p_digest bytea, p_repeatables bytea) returns oid
language plpgsql volatile as $$
declare
    given oid;
    old text;
    tried text[] := '{}';
begin
    if pg_catalog.to_regnamespace(pg_catalog.quote_ident(p_name)) is not null
       or exists (select from tenantry.heads h where h.schema_name = p_name) then
        return null;
    end if;
    loop
        select p.schema_name, h.schema_oid into old, given
          from tenantry.pool p
          join tenantry.heads h on h.schema_name = p.schema_name
         where h.digest = p_digest and h.repeatables_digest = p_repeatables and p.schema_name <> all (tried)
         order by p.ready_at, p.schema_name
         limit 1
           for update of p skip locked;
        if not found then
            return null;
        end if;
        tried := tried || old;
        -- Somebody is at work on it.
        continue when not pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | given::bigint);
        -- Read under the lock: a statement of its own, hence a snapshot of its own.
        perform 1
           from tenantry.heads h
           join pg_catalog.pg_namespace n on n.oid = h.schema_oid and n.nspname = h.schema_name::name
          where h.schema_oid = given and h.schema_name = old and h.digest = p_digest and h.repeatables_digest = p_repeatables
            and h.dirty_version is null and h.running_version is null;
        continue when not found;
        execute pg_catalog.format('alter schema %I rename to %I', old, p_name);
        update tenantry.heads h set schema_name = p_name, revision = h.revision + 1, fence = h.fence + 1 where h.schema_oid = given;
        update tenantry.history h set schema_name = p_name where h.schema_oid = given and h.schema_name = old;
        delete from tenantry.pool p where p.schema_name = old;
        return given;
    end loop;
end
$$;

-- What holds the name of a schema in a text, which renaming would not change: told of the first thing found, null where
-- there is nothing. What a script has computed from the name, a hash say, is not seen.
create function tenantry.pool_names_itself(p_schema oid, p_name text) returns text
language plpgsql volatile as $$
declare
    found_in text;
    relation record;
    has boolean;
begin
    -- What is in the schema is then written without its name.
    perform pg_catalog.set_config('search_path', pg_catalog.quote_ident(p_name), true);
    select t.what into found_in
      from (select 'function ' || p.proname as what, p.proname || ' ' || p.prosrc || coalesce(p.proconfig::text, '')
                   || coalesce(pg_catalog.pg_get_expr(p.proargdefaults, 0), '') as body
              from pg_catalog.pg_proc p where p.pronamespace = p_schema
            union all
            select 'relation ' || c.relname, c.relname || coalesce(c.reloptions::text, '')
                   || coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '')
                   || case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid, true) else '' end
              from pg_catalog.pg_class c where c.relnamespace = p_schema
            union all
            select 'column ' || c.relname || '.' || a.attname, a.attname || coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
              from pg_catalog.pg_class c
              join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0
              left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
             where c.relnamespace = p_schema
            union all
            select 'constraint ' || k.conname, k.conname || coalesce(pg_catalog.pg_get_expr(k.conbin, k.conrelid), '')
              from pg_catalog.pg_constraint k where k.connamespace = p_schema
            union all
            select 'index ' || i.indexrelid::pg_catalog.regclass, coalesce(pg_catalog.pg_get_expr(i.indexprs, i.indrelid), '')
                   || coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), '')
              from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indrelid where c.relnamespace = p_schema
            union all
            select 'trigger ' || g.tgname, g.tgname || pg_catalog.pg_get_triggerdef(g.oid, true)
              from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
             where c.relnamespace = p_schema and not g.tgisinternal
            union all
            select 'policy ' || o.polname, o.polname || coalesce(pg_catalog.pg_get_expr(o.polqual, o.polrelid), '')
                   || coalesce(pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid), '')
              from pg_catalog.pg_policy o join pg_catalog.pg_class c on c.oid = o.polrelid where c.relnamespace = p_schema
            union all
            select 'rule ' || r.rulename, r.rulename || pg_catalog.pg_get_ruledef(r.oid, true)
              from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
             where c.relnamespace = p_schema and r.rulename <> '_RETURN'
            union all
            select 'type ' || y.typname, y.typname || coalesce(y.typdefault, '')
              from pg_catalog.pg_type y where y.typnamespace = p_schema
            union all
            select 'a value of type ' || y.typname, e.enumlabel
              from pg_catalog.pg_enum e join pg_catalog.pg_type y on y.oid = e.enumtypid where y.typnamespace = p_schema
            union all
            select 'a comment', d.description from pg_catalog.pg_description d
            union all
            select 'role ' || r.rolname, r.rolname from pg_catalog.pg_roles r
            union all
            select 'publication ' || b.pubname, b.pubname from pg_catalog.pg_publication b
            union all
            select 'the settings of a role', s.setconfig::text from pg_catalog.pg_db_role_setting s) t
     where pg_catalog.strpos(t.body, p_name) > 0
     limit 1;
    if found_in is not null then
        return found_in;
    end if;
    for relation in
        select pg_catalog.format('%I.%I', p_name, c.relname) as identity, c.relname
          from pg_catalog.pg_class c where c.relnamespace = p_schema and c.relkind in ('r', 'm') order by c.relname
    loop
        execute 'select exists (select from ' || relation.identity
                || ' as tenantry_row where pg_catalog.strpos(tenantry_row::text, $1) > 0)' into has using p_name;
        if has then
            return 'a row of ' || relation.relname;
        end if;
    end loop;
    return null;
end
$$;
