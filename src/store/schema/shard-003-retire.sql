-- Taking a schema away piece by piece, since every object that a transaction drops holds a place in the server's lock
-- table until it ends, and that table is everybody's.

-- All that goes when an object is dropped with CASCADE, itself included.
create function tenantry.falls_with(p_class oid, p_object oid)
returns table (class oid, object oid, sub integer)
language sql stable as $$
    with recursive falling (class, object, sub) as (
        select p_class, p_object, 0
        union
        select next.class, next.object, next.sub
          from falling f
         cross join lateral (
             select d.classid, d.objid, d.objsubid
               from pg_catalog.pg_depend d
              where d.refclassid = f.class and d.refobjid = f.object and (f.sub = 0 or d.refobjsubid = f.sub)
             union all
             -- A part that cannot go alone takes its owner along: the rule of a view takes the view.
             select d.refclassid, d.refobjid, d.refobjsubid
               from pg_catalog.pg_depend d
              where d.classid = f.class and d.objid = f.object and d.deptype = 'i' and f.sub = 0
         ) next (class, object, sub)
    )
    select f.class, f.object, f.sub from falling f
$$;

-- The places in the lock table that dropping an object takes: one for everything that falls, and one more for the other
-- table of each foreign key.
create function tenantry.places_of(p_class oid, p_object oid) returns bigint
language sql stable as $$
    select count(distinct (f.class, f.object))
           + count(*) filter (where f.class = 'pg_catalog.pg_constraint'::regclass)
      from tenantry.falls_with(p_class, p_object) f
$$;

-- What belongs to other schemas and would fall with this one.
create function tenantry.outsiders(p_schema oid) returns setof text
language sql stable as $$
    with falling as (
        select f.class, f.object, f.sub,
               case f.class
                   when 'pg_catalog.pg_class'::regclass then (select c.relnamespace from pg_catalog.pg_class c where c.oid = f.object)
                   when 'pg_catalog.pg_type'::regclass then (select t.typnamespace from pg_catalog.pg_type t where t.oid = f.object)
                   when 'pg_catalog.pg_proc'::regclass then (select p.pronamespace from pg_catalog.pg_proc p where p.oid = f.object)
                   when 'pg_catalog.pg_constraint'::regclass then
                       (select k.connamespace from pg_catalog.pg_constraint k where k.oid = f.object)
                   when 'pg_catalog.pg_trigger'::regclass then
                       (select c.relnamespace from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
                         where t.oid = f.object)
                   when 'pg_catalog.pg_rewrite'::regclass then
                       (select c.relnamespace from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
                         where r.oid = f.object)
                   when 'pg_catalog.pg_attrdef'::regclass then
                       (select c.relnamespace from pg_catalog.pg_attrdef a join pg_catalog.pg_class c on c.oid = a.adrelid
                         where a.oid = f.object)
                   when 'pg_catalog.pg_policy'::regclass then
                       (select c.relnamespace from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
                         where p.oid = f.object)
                   when 'pg_catalog.pg_extension'::regclass then
                       (select e.extnamespace from pg_catalog.pg_extension e where e.oid = f.object)
                   when 'pg_catalog.pg_namespace'::regclass then f.object
               end as namespace
          from tenantry.falls_with('pg_catalog.pg_namespace'::regclass, p_schema) f
    ), named as (
        select f.class, f.object, identified.type, identified.identity,
               -- Of the rest, operators and the like, the server knows the schema's name.
               coalesce(f.namespace,
                        (select n.oid from pg_catalog.pg_namespace n where n.nspname = identified.schema)) as namespace
          from falling f
         cross join lateral pg_catalog.pg_identify_object(f.class, f.object, f.sub) identified
         -- Most of it is ours, and naming takes time.
         where f.namespace is distinct from p_schema
           and f.namespace is distinct from 'pg_toast'::regnamespace
    )
    select n.type || ' ' || n.identity
      from named n
     -- What goes with a thing of its own is told by that thing. Publications, casts and the like are nobody's in particular.
     where n.namespace is distinct from p_schema and n.identity is not null
       and n.class in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_constraint'::regclass,
                       'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_policy'::regclass,
                       'pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_type'::regclass, 'pg_catalog.pg_operator'::regclass,
                       'pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_opfamily'::regclass,
                       'pg_catalog.pg_collation'::regclass, 'pg_catalog.pg_statistic_ext'::regclass,
                       'pg_catalog.pg_extension'::regclass, 'pg_catalog.pg_ts_config'::regclass, 'pg_catalog.pg_ts_dict'::regclass,
                       'pg_catalog.pg_event_trigger'::regclass, 'pg_catalog.pg_foreign_server'::regclass)
       and not (n.class = 'pg_catalog.pg_type'::regclass and exists (
               select from pg_catalog.pg_depend d where d.classid = n.class and d.objid = n.object and d.deptype = 'i'))
       and not (n.class = 'pg_catalog.pg_rewrite'::regclass and exists (
               select from pg_catalog.pg_rewrite r where r.oid = n.object and r.rulename = '_RETURN'))
       and not (n.class = 'pg_catalog.pg_trigger'::regclass and exists (
               select from pg_catalog.pg_trigger t where t.oid = n.object and t.tgisinternal))
     order by 1
$$;

-- With p_clear also where it stopped half-way. Makes the schema ours alone: whoever has begun to move it is refused from now on, whatever it stands at. Gives its new
-- revision and fence. Never waits for the lock. TN001 busy · TN003 gone.
create function tenantry.seize(p_schema oid, p_name text, p_clear boolean, out revision bigint, out fence bigint)
language plpgsql volatile as $$
begin
    if not pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | p_schema::bigint) then
        raise exception using errcode = 'TN001', message = 'another session is at work on this schema';
    end if;
    update tenantry.heads h
       set revision = h.revision + 1, fence = h.fence + 1,
           dirty_version = case when p_clear then null else h.dirty_version end,
           running_version = case when p_clear then null else h.running_version end,
           running_direction = case when p_clear then null else h.running_direction end
     where h.schema_oid = p_schema and h.schema_name = p_name
       and exists (select from pg_catalog.pg_namespace n where n.oid = p_schema and n.nspname = p_name::name)
    returning h.revision, h.fence into revision, fence;
    if not found then
        raise exception using errcode = 'TN003', message = 'the schema was dropped, renamed or made anew since it was pinned';
    end if;
    if p_clear then
        update tenantry.history h set state = 'failed', finished_at = pg_catalog.clock_timestamp()
         where h.schema_oid = p_schema and h.schema_name = p_name and h.state = 'running';
    end if;
end
$$;

-- Drops as much of an entered schema as takes `p_places` places in the lock table: views, tables, sequences, functions,
-- types; with the last of it the schema and its head. True when it is gone.
-- TN008 needed: something of another schema would fall as well.
create function tenantry.drop_some(p_schema oid, p_name text, p_places bigint) returns boolean
language plpgsql volatile as $$
declare
    is_last boolean := tenantry.places_of('pg_catalog.pg_namespace'::regclass, p_schema) <= p_places;
    taken bigint := 0;
    places bigint;
    piece record;
    drops text[] := '{}';
    statement text;
begin
    for piece in
        select p.class, p.object, p.kind, p.identity from tenantry.pieces_of(p_schema, p_name) p
         order by p.stage, p.object desc
         limit case when is_last then null else p_places end
    loop
        places := tenantry.places_of(piece.class, piece.object);
        exit when not is_last and taken > 0 and taken + places > p_places;
        taken := taken + places;
        -- Who would make something that needs a table waits from now on: what is found below is all there is. Views,
        -- functions and types cannot be locked.
        if piece.kind = 'table' then
            execute pg_catalog.format('lock table only %s in access exclusive mode', piece.identity);
        end if;
        drops := drops || case piece.kind
            when 'constraint' then pg_catalog.format('alter table if exists %s', piece.identity)
            -- An earlier one may have taken it along.
            else pg_catalog.format('drop %s if exists %s cascade', piece.kind, piece.identity)
        end;
    end loop;
    perform tenantry.refuse_outsiders(p_schema);
    -- Where nothing has a stage of its own, there may still be operators, dictionaries, an extension.
    if is_last or drops = '{}' then
        execute pg_catalog.format('drop schema %I cascade', p_name);
        delete from tenantry.heads where schema_oid = p_schema;
        return true;
    end if;
    foreach statement in array drops loop
        execute statement;
    end loop;
    return false;
end
$$;

-- What of a schema can be dropped by itself, and in which order it is best.
create function tenantry.pieces_of(p_schema oid, p_name text)
returns table (class oid, object oid, stage integer, kind text, identity text)
language sql stable as $$
    select p.class, p.object, p.stage, p.kind, p.identity
      from (select 'pg_catalog.pg_class'::regclass::oid as class, c.oid as object,
                   case c.relkind when 'v' then 1 when 'm' then 1 when 'S' then 4 else 3 end as stage,
                   case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                                  when 'f' then 'foreign table' else 'table' end as kind,
                   pg_catalog.format('%I.%I', p_name, c.relname) as identity
              from pg_catalog.pg_class c
             where c.relnamespace = p_schema and c.relkind in ('v', 'm', 'r', 'p', 'f', 'S')
               -- Partitions and heirs before what they are part of, which would take all of them along.
               and not exists (select from pg_catalog.pg_inherits i where i.inhparent = c.oid)
            union all
            -- One part of a partitioned table cannot be dropped while somebody refers to the whole.
            select 'pg_catalog.pg_constraint'::regclass::oid, k.oid, 2, 'constraint',
                   pg_catalog.format('%I.%I drop constraint if exists %I', p_name, c.relname, k.conname)
              from pg_catalog.pg_constraint k
              join pg_catalog.pg_class c on c.oid = k.conrelid
              join pg_catalog.pg_class r on r.oid = k.confrelid
             where c.relnamespace = p_schema and k.contype = 'f' and k.conparentid = 0 and r.relkind = 'p'
            union all
            select 'pg_catalog.pg_proc'::regclass::oid, f.oid, 5, 'routine',
                   pg_catalog.format('%I.%I(%s)', p_name, f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid))
              from pg_catalog.pg_proc f
             where f.pronamespace = p_schema and f.prokind <> 'a'
            union all
            select 'pg_catalog.pg_type'::regclass::oid, t.oid, 6, case t.typtype when 'd' then 'domain' else 'type' end,
                   pg_catalog.format('%I.%I', p_name, t.typname)
              from pg_catalog.pg_type t
              left join pg_catalog.pg_class c on c.oid = t.typrelid
             where t.typnamespace = p_schema and (c.relkind is null or c.relkind = 'c')) p
     -- A part of something else, or a member of an extension, goes with that.
     where not exists (select from pg_catalog.pg_depend d
                        where d.classid = p.class and d.objid = p.object and d.objsubid = 0 and d.deptype in ('i', 'e'))
$$;

create function tenantry.refuse_outsiders(p_schema oid) returns void
language plpgsql volatile as $$
declare
    outsiders text[] := array(select tenantry.outsiders(p_schema));
begin
    if outsiders <> '{}' then
        raise exception using errcode = 'TN008', message = 'other schemas need something of this one',
            detail = pg_catalog.array_to_string(outsiders, E'\n');
    end if;
end
$$;
