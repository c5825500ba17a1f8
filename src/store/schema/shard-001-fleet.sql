-- What a shard remembers of the schemas on it. Everything is logged: a crash must not forget a fence.

-- Each script's text once a shard; the history refers to it by checksum.
create table tenantry.scripts (
    checksum bytea primary key check (octet_length(checksum) = 32),
    body     text not null
);

-- A log: one row for each migration that was carried up or down, or recorded without being run. A row is changed only
-- while it is running, which a migration is that is carried statement by statement; all others are written once.
create table tenantry.history (
    id              bigint generated always as identity primary key,
    schema_oid      oid not null,
    schema_name     text not null,
    version         text not null check (version <> ''),
    name            text not null,
    direction       text not null check (direction in ('up', 'down')),
    up_checksum     bytea not null,
    down_checksum   bytea,
    state           text not null check (state in ('running', 'applied', 'reverted', 'failed')),
    how             text not null check (how in ('run', 'baseline', 'force', 'repair')),
    revision        bigint not null,
    fence           bigint not null,
    who             text not null,
    started_at      timestamptz not null,
    finished_at     timestamptz,
    statements_done integer not null,
    -- The next statement was begun outside a transaction, and its end is not recorded. `before` is what it found.
    is_open         boolean not null default false,
    before          oid,
    -- Which statement is under way, or what stopped it where.
    note            text,
    constraint a_direction_ends_in_its_state check (
        state in ('running', 'failed') or (direction = 'up') = (state = 'applied')
    )
);
create index history_of_a_schema on tenantry.history (schema_oid, id);
create unique index one_running_migration_a_schema on tenantry.history (schema_oid, schema_name) where state = 'running';

-- Where each schema stands. Half of each page is left free, so that an update stays on its page.
create table tenantry.heads (
    schema_oid         oid primary key,
    schema_name        text not null,
    version            text,
    digest             bytea not null default decode(repeat('00', 32), 'hex') check (octet_length(digest) = 32),
    repeatables_digest bytea not null default decode(repeat('00', 32), 'hex') check (octet_length(repeatables_digest) = 32),
    revision           bigint not null default 0,
    fence              bigint not null default 0,
    dirty_version      text,
    -- What it is in the middle of, statement by statement.
    running_version    text,
    running_direction  text check (running_direction in ('up', 'down')),
    constraint what_runs_has_a_direction check ((running_version is null) = (running_direction is null)),
    constraint one_head_a_schema unique (schema_name)
) with (fillfactor = 50);

-- Opens the transaction of one schema: nobody else may be at work on it, and it must be where the plan was made for.
-- Never waits. TN001 busy · TN002 stale · TN003 gone · TN004 dirty · TN009 unfinished.
create function tenantry.enter(p_schema oid, p_name text, p_revision bigint, p_fence bigint) returns void
language plpgsql volatile as $$
declare
    head record;
begin
    if not pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | p_schema::bigint) then
        raise exception using errcode = 'TN001', message = 'another session is at work on this schema';
    end if;
    -- Read after the lock: a statement of its own, hence a snapshot of its own.
    select h.revision, h.fence, h.dirty_version, h.running_version, n.nspname into head
      from tenantry.heads h left join pg_catalog.pg_namespace n on n.oid = h.schema_oid
     where h.schema_oid = p_schema;
    if not found or head.nspname is distinct from p_name::name then
        raise exception using errcode = 'TN003', message = 'the schema was dropped, renamed or made anew since it was pinned';
    end if;
    if head.revision <> p_revision or head.fence <> p_fence then
        raise exception using errcode = 'TN002', message = 'the schema was moved by somebody else since the plan was made',
            detail = pg_catalog.format('revision %s, fence %s; expected revision %s, fence %s',
                                       head.revision, head.fence, p_revision, p_fence);
    end if;
    if head.dirty_version is not null then
        raise exception using errcode = 'TN004', message = 'the schema stopped half-way at version ' || head.dirty_version;
    end if;
    if head.running_version is not null then
        raise exception using errcode = 'TN009', message = 'the schema is in the middle of ' || head.running_version || ', which has to be finished first';
    end if;
    -- For the session, not for the transaction: it is there afterwards if, and only if, the transaction was committed.
    perform pg_catalog.set_config('tenantry.mark',
        pg_catalog.pg_current_xact_id()::text || ' ' || p_schema::text || ' ' || extract(epoch from pg_catalog.clock_timestamp())::text, false);
end
$$;

-- Forgets what a script has prepared by SQL, for example in EXECUTE: the next schema's script may use the same name. The
-- driver's own prepared statements stay.
create function tenantry.deallocate() returns void language plpgsql volatile as $$
declare
    prepared text;
begin
    for prepared in select name from pg_catalog.pg_prepared_statements where from_sql loop
        execute pg_catalog.format('deallocate %I', prepared);
    end loop;
end
$$;

-- Closes one step: it must still be the transaction that entered, in the schema that was entered.
-- TN003 gone: the schema is no more · TN005 escaped: the text ended the transaction · TN006 wandered: the text left the
-- schema.
create function tenantry.assert_inside(p_schema oid, p_name text, p_current name) returns timestamptz
language plpgsql volatile as $$
declare
    mark text[] := pg_catalog.string_to_array(pg_catalog.current_setting('tenantry.mark', true), ' ');
begin
    if mark[1] is distinct from pg_catalog.pg_current_xact_id()::text or mark[2] is distinct from p_schema::text then
        raise exception using errcode = 'TN005', message = 'the script ended the transaction that it ran in';
    end if;
    -- First, as a script whose schema is gone is in no schema or in the one for temporary tables.
    perform 1 from pg_catalog.pg_namespace n where n.oid = p_schema and n.nspname = p_name::name;
    if not found then
        raise exception using errcode = 'TN003', message = 'the schema was dropped, renamed or made anew while the script ran';
    end if;
    if p_current is distinct from p_name::name then
        raise exception using errcode = 'TN006', message = pg_catalog.format('the script left its schema for %s', coalesce(p_current::text, 'none'));
    end if;
    perform tenantry.deallocate();
    return pg_catalog.to_timestamp(mark[3]::double precision);
end
$$;

-- `p_path` is not used: evaluating it has set the search path to nothing, so that the plans in here can be kept.
create function tenantry.leave(
    p_schema oid, p_name text, p_current name, p_path text, p_version text, p_migration text, p_direction text,
    p_up bytea, p_down bytea, p_head text, p_digest bytea, p_statements integer, p_who text
) returns void
language plpgsql volatile as $$
declare
    started timestamptz := tenantry.assert_inside(p_schema, p_name, p_current);
    finished timestamptz := pg_catalog.clock_timestamp();
begin
    with head as (
        update tenantry.heads
           set version = p_head, digest = p_digest, revision = revision + 1,
               -- What a way back drops may take repeatables along: all of them are applied again on the next way up.
               repeatables_digest = case p_direction when 'up' then repeatables_digest
                                    else '\x0000000000000000000000000000000000000000000000000000000000000000' end
         where schema_oid = p_schema
        returning revision, fence
    )
    insert into tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, state, how,
                                  revision, fence, who, started_at, finished_at, statements_done)
    select p_schema, p_name, p_version, p_migration, p_direction, p_up, p_down,
           case p_direction when 'up' then 'applied' else 'reverted' end, 'run',
           head.revision, head.fence, p_who, started, finished, p_statements
      from head;
    if not found then
        raise exception using errcode = 'TN003', message = 'the head of the schema is gone, so nothing can be recorded';
    end if;
    perform pg_catalog.set_config('tenantry.mark',
        pg_catalog.pg_current_xact_id()::text || ' ' || p_schema::text || ' ' || extract(epoch from finished)::text, false);
end
$$;

-- Closes the repeatables: they have no versions, only the digest of all of them.
create function tenantry.leave_repeatables(p_schema oid, p_name text, p_current name, p_path text, p_digest bytea) returns void
language plpgsql volatile as $$
begin
    perform tenantry.assert_inside(p_schema, p_name, p_current);
    update tenantry.heads set repeatables_digest = p_digest, revision = revision + 1 where schema_oid = p_schema;
    if not found then
        raise exception using errcode = 'TN003', message = 'the head of the schema is gone, so nothing can be recorded';
    end if;
end
$$;

-- Checks the bodies of the schema's functions that this transaction made, which were created unchecked because they may
-- call each other. What a subtransaction made (a block with an exception handler) bears a later id than ours.
create function tenantry.validate_functions(p_schema oid, p_name text) returns void
language plpgsql volatile as $$
declare
    made record;
begin
    for made in
        select p.oid, v.oid as validator
          from pg_catalog.pg_proc p
          join pg_catalog.pg_language l on l.oid = p.prolang
          join pg_catalog.pg_proc v on v.oid = l.lanvalidator
         where p.pronamespace = p_schema and pg_catalog.age(p.xmin) <= 0
         order by p.proname, p.oid
    loop
        execute pg_catalog.format('select pg_catalog.%I(%s)', (select proname from pg_catalog.pg_proc where oid = made.validator), made.oid);
    end loop;
end
$$;
