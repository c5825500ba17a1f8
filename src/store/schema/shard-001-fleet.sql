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

-- What the server said beside its answers while a migration ran. Written after the commit, and only where there is any.
create table tenantry.notices (
    id         bigint generated always as identity primary key,
    history_id bigint not null references tenantry.history on delete cascade,
    level      text not null check (level in ('notice', 'warning')),
    message    text not null,
    times      bigint not null check (times > 0)
);
create index notices_of_an_entry on tenantry.notices (history_id);

-- Where each schema stands. Half of each page is left free, so that an update stays on its page.
create table tenantry.heads (
    schema_oid         oid primary key,
    schema_name        text not null,
    version            text,
    digest             bytea not null default decode(repeat('00', 32), 'hex'),
    repeatables_digest bytea not null default decode(repeat('00', 32), 'hex'),
    revision           bigint not null default 0,
    fence              bigint not null default 0,
    dirty_version      text,
    -- What it is in the middle of, statement by statement.
    running_version    text,
    running_direction  text,
    -- One constraint: PostgreSQL reads each of them anew for every statement.
    constraint a_head_is_whole check (
        octet_length(digest) = 32 and octet_length(repeatables_digest) = 32
        and (running_version is null) = (running_direction is null) and coalesce(running_direction, 'up') in ('up', 'down')
    ),
    constraint one_head_a_schema unique (schema_name)
) with (fillfactor = 50);

-- What follows is called in every message. Procedures, because CALL sends no row back, which costs both sides time.

-- Opens the transaction of one schema: nobody else may be at work on it, and it must be where the plan was made for.
-- Never waits. TN001 busy · TN002 stale · TN003 gone · TN004 dirty · TN009 unfinished.
create procedure tenantry.enter(p_schema oid, p_name text, p_revision bigint, p_fence bigint)
language plpgsql as $$
declare
    head record;
begin
    if not pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | p_schema::bigint) then
        raise exception using errcode = 'TN001', message = 'another session is at work on this schema';
    end if;
    -- Read after the lock: a statement of its own, hence a snapshot of its own.
    select h.revision, h.fence, h.dirty_version, h.running_version into head
      from tenantry.heads h
     where h.schema_oid = p_schema;
    -- By its name in the catalog's cache: a join would be a third of what this costs.
    if not found or pg_catalog.to_regnamespace(pg_catalog.quote_ident(p_name)) is distinct from p_schema::pg_catalog.regnamespace then
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
-- driver's own prepared statements stay. For scripts that run functions; structure alone prepares nothing.
create procedure tenantry.deallocate(p_schema oid, p_name text)
language plpgsql as $$
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
    return pg_catalog.to_timestamp(mark[3]::double precision);
end
$$;

-- The checks of `assert_inside` once more, in a way that costs a call and a query less. `p_path` is not used: evaluating it has set the search path to nothing, so that the plans in here can be kept.
create procedure tenantry.leave(
    p_schema oid, p_name text, p_current name, p_path text, p_version text, p_migration text, p_direction text,
    p_up bytea, p_down bytea, p_head text, p_digest bytea, p_statements integer, p_who text
)
language plpgsql as $$
declare
    mark text[] := pg_catalog.string_to_array(pg_catalog.current_setting('tenantry.mark', true), ' ');
    left_revision bigint;
    left_fence bigint;
begin
    if mark[1] is distinct from pg_catalog.pg_current_xact_id()::text or mark[2] is distinct from p_schema::text
       or p_current is distinct from p_name::name
       or pg_catalog.to_regnamespace(pg_catalog.quote_ident(p_name)) is distinct from p_schema::pg_catalog.regnamespace then
        -- Which says what is wrong.
        perform tenantry.assert_inside(p_schema, p_name, p_current);
    end if;
    update tenantry.heads h
       set version = p_head, digest = p_digest, revision = h.revision + 1,
           -- What a way back drops may take repeatables along: all of them are applied again on the next way up.
           repeatables_digest = case p_direction when 'up' then h.repeatables_digest
                                else '\x0000000000000000000000000000000000000000000000000000000000000000' end
     where h.schema_oid = p_schema
    returning h.revision, h.fence into left_revision, left_fence;
    if not found then
        raise exception using errcode = 'TN003', message = 'the head of the schema is gone, so nothing can be recorded';
    end if;
    insert into tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, state, how,
                                  revision, fence, who, started_at, finished_at, statements_done)
    values (p_schema, p_name, p_version, p_migration, p_direction, p_up, p_down,
            case p_direction when 'up' then 'applied' else 'reverted' end, 'run',
            left_revision, left_fence, p_who, pg_catalog.to_timestamp(mark[3]::double precision), pg_catalog.clock_timestamp(),
            p_statements);
end
$$;

-- Begins another step in the same transaction: from now on its time counts.
create procedure tenantry.next_step(p_schema oid, p_name text)
language plpgsql as $$
begin
    perform pg_catalog.set_config('tenantry.mark',
        pg_catalog.pg_current_xact_id()::text || ' ' || p_schema::text || ' ' || extract(epoch from pg_catalog.clock_timestamp())::text, false);
end
$$;

-- Closes the repeatables: they have no versions, only the digest of all of them.
create procedure tenantry.leave_repeatables(p_schema oid, p_name text, p_current name, p_path text, p_digest bytea)
language plpgsql as $$
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
create procedure tenantry.validate_functions(p_schema oid, p_name text)
language plpgsql as $$
declare
    made record;
begin
    for made in
        select p.oid, v.oid as validator
          -- By what depends on the schema, for which there is an index: a fleet has very many functions.
          from pg_catalog.pg_depend d
          join pg_catalog.pg_proc p on p.oid = d.objid
          join pg_catalog.pg_language l on l.oid = p.prolang
          join pg_catalog.pg_proc v on v.oid = l.lanvalidator
         where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = p_schema
           and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and pg_catalog.age(p.xmin) <= 0
         order by p.proname, p.oid
    loop
        execute pg_catalog.format('select pg_catalog.%I(%s)', (select proname from pg_catalog.pg_proc where oid = made.validator), made.oid);
    end loop;
end
$$;

-- Groups: several schemas of one cohort in one transaction. Whatever is wrong with one of them is an error for all, and
-- nothing of it stays; each is then carried alone, and told alone what was wrong with it.

-- Opens the transaction. Never waits. TN001 busy, with the OIDs of those that are · TN002 any other reason.
create procedure tenantry.enter_group(p_schemas oid[], p_names text[], p_revisions bigint[], p_fences bigint[])
language plpgsql as $$
declare
    busy oid[];
    fit bigint;
begin
    select pg_catalog.array_agg(s.oid) into busy from pg_catalog.unnest(p_schemas) as s(oid)
     where not pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | s.oid::bigint);
    if busy is not null then
        raise exception using errcode = 'TN001', message = 'other sessions are at work on some of these schemas',
            detail = pg_catalog.array_to_string(busy, ' ');
    end if;
    select pg_catalog.count(*) into fit
      from rows from (pg_catalog.unnest(p_schemas), pg_catalog.unnest(p_names), pg_catalog.unnest(p_revisions),
                      pg_catalog.unnest(p_fences)) as e(oid, name, revision, fence)
      join tenantry.heads h on h.schema_oid = e.oid
      join pg_catalog.pg_namespace n on n.oid = e.oid
     where n.nspname = e.name::name and h.revision = e.revision and h.fence = e.fence and h.dirty_version is null
       and h.running_version is null;
    if fit <> pg_catalog.cardinality(p_schemas) then
        raise exception using errcode = 'TN002', message = 'some of these schemas are not as the plan was made for';
    end if;
    perform pg_catalog.set_config('tenantry.group',
        pg_catalog.pg_current_xact_id()::text || ' ' || extract(epoch from pg_catalog.clock_timestamp())::text, true);
end
$$;

-- After the scripts of each schema: still the same transaction, still the same schema. What they set by way of a function is
-- taken back, but for the limits, in milliseconds, and so is the path; what lasts as well, a temporary table say, is an error.
-- `p_path` as in `leave`.
create procedure tenantry.assert_in_group(
    p_name text, p_current name, p_path text, p_lock_timeout integer, p_statement_timeout integer
)
language plpgsql as $$
declare
    mark text := pg_catalog.current_setting('tenantry.group', true);
begin
    if pg_catalog.split_part(mark, ' ', 1) is distinct from pg_catalog.pg_current_xact_id()::text then
        raise exception using errcode = 'TN005', message = 'the script ended the transaction that it ran in';
    end if;
    if p_current is distinct from p_name::name then
        raise exception using errcode = 'TN006', message = pg_catalog.format('the script left its schema for %s', coalesce(p_current::text, 'none'));
    end if;
    if pg_catalog.pg_my_temp_schema() <> 0 and exists (
        select from pg_catalog.pg_depend d
         where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = pg_catalog.pg_my_temp_schema()
    ) then
        raise exception using errcode = 'TN002', message = 'the script left temporary objects to whoever comes next';
    end if;
    reset all;
    perform pg_catalog.set_config('tenantry.group', mark, true),
            pg_catalog.set_config('lock_timeout', p_lock_timeout::text, true),
            pg_catalog.set_config('statement_timeout', p_statement_timeout::text, true),
            pg_catalog.set_config('search_path', '', true);
end
$$;

-- Closes the transaction: all steps of all schemas. Arrays are by step, in order.
create procedure tenantry.leave_group(
    p_schemas oid[], p_versions text[], p_migrations text[], p_directions text[], p_ups bytea[], p_downs bytea[],
    p_statements integer[], p_head text, p_digest bytea, p_who text
)
language plpgsql as $$
declare
    steps integer := pg_catalog.cardinality(p_versions);
    started timestamptz :=
        pg_catalog.to_timestamp(pg_catalog.split_part(pg_catalog.current_setting('tenantry.group'), ' ', 2)::double precision);
    finished timestamptz := pg_catalog.clock_timestamp();
    recorded bigint;
begin
    with head as (
        update tenantry.heads h
           set version = p_head, digest = p_digest, revision = h.revision + steps,
               repeatables_digest = case when 'down' = any (p_directions)
                                    then '\x0000000000000000000000000000000000000000000000000000000000000000'
                                    else h.repeatables_digest end
          from pg_catalog.pg_namespace n
         where h.schema_oid = any (p_schemas) and n.oid = h.schema_oid and n.nspname = h.schema_name::name
        returning h.schema_oid, h.schema_name, h.revision - steps as revision, h.fence
    )
    insert into tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, state, how,
                                  revision, fence, who, started_at, finished_at, statements_done)
    select head.schema_oid, head.schema_name, step.version, step.name, step.direction, step.up, step.down,
           case step.direction when 'up' then 'applied' else 'reverted' end, 'run',
           head.revision + step.number, head.fence, p_who, started, finished, step.statements
      from head,
           rows from (pg_catalog.unnest(p_versions), pg_catalog.unnest(p_migrations), pg_catalog.unnest(p_directions),
                      pg_catalog.unnest(p_ups), pg_catalog.unnest(p_downs), pg_catalog.unnest(p_statements))
               with ordinality as step(version, name, direction, up, down, statements, number)
     order by head.schema_oid, step.number;
    get diagnostics recorded = row_count;
    if recorded <> pg_catalog.cardinality(p_schemas) * steps then
        raise exception using errcode = 'TN003', message = 'some of these schemas were dropped or renamed by a script';
    end if;
end
$$;

-- The audit: which relations outside its schema did a script change? Told by the locks of its own transaction, so it sees
-- tables, indexes, sequences and views; not functions, types, privileges, nor what was only read.

-- What belongs to the schema, with indexes, TOAST and what stands behind composite types; by what depends on it, for which
-- there is an index.
create function tenantry.relations_of(p_schema oid) returns setof oid
language sql stable as $$
    with listed as (
        select c.oid, c.reltoastrelid
          from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid
         where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = p_schema
           and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    ), tables as (
        select oid from listed union all select reltoastrelid from listed where reltoastrelid <> 0
    )
    select oid from tables
    union all
    select i.indexrelid from tables join pg_catalog.pg_index i on i.indrelid = tables.oid
    union all
    select t.typrelid
      from pg_catalog.pg_depend d join pg_catalog.pg_type t on t.oid = d.objid
     where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.refobjid = p_schema
       and d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.typrelid <> 0
$$;

-- Adds to the tables that the schema's foreign keys refer to, or did when this was called before. The first key that
-- refers to a table changes its row in pg_class: which version of the row it was is kept, to tell that from later changes,
-- even when the key is dropped again.
create procedure tenantry.note_parents(p_schema oid)
language plpgsql as $$
declare
    before text := coalesce(pg_catalog.current_setting('tenantry.parents', true), '');
begin
    perform pg_catalog.set_config('tenantry.parents',
        coalesce(pg_catalog.string_agg(c.oid::text, ' '), ''), true),
            pg_catalog.set_config('tenantry.parent_rows', pg_catalog.string_agg(c.oid::text || c.ctid::text, ' '), true)
      from (select p.oid::oid from pg_catalog.unnest(pg_catalog.string_to_array(before, ' ')) as p(oid)
            union
            select k.confrelid
              from tenantry.relations_of(p_schema) as r(oid)
              join pg_catalog.pg_constraint k on k.conrelid = r.oid and k.contype = 'f') as p(oid)
      join pg_catalog.pg_class c on c.oid = p.oid;
end
$$;

-- Before the scripts: what belongs to the schema and to those that may be changed too, else what they drop could not be told
-- from what others lose. The OID of a large object that is gone at once marks where new ones begin (until the counter wraps
-- around, after four thousand million): a rewrite drops tables that it has made itself.
create procedure tenantry.watch(p_schema oid, p_name text, p_writable text[])
language plpgsql as $$
declare
    mark oid := pg_catalog.lo_create(0);
begin
    perform pg_catalog.lo_unlink(mark);
    perform pg_catalog.set_config('tenantry.known', mark::text, true),
            pg_catalog.set_config('tenantry.own', coalesce(pg_catalog.string_agg(r.oid::text, ' '), ''), true)
      from (select p_schema union select n.oid from pg_catalog.pg_namespace n where n.nspname = any (p_writable)) as s(oid),
           tenantry.relations_of(s.oid) as r(oid);
    call tenantry.note_parents(p_schema);
end
$$;

-- Whether this transaction wrote a row of the catalog, given the row's xmin: nobody else's rows in progress can be seen.
create function tenantry.is_ours(p_xmin xid) returns boolean
language sql stable as $$
    select pg_catalog.age(p_xmin) <= 0 and pg_catalog.pg_xact_status(
        ((pg_catalog.pg_current_xact_id()::text::numeric - pg_catalog.age(p_xmin))::text)::xid8) = 'in progress'
$$;

-- After the scripts. A schema may refer to tables of others: making a foreign key locks them (ROW SHARE when rows are
-- written, SHARE ROW EXCLUSIVE when it is made, ACCESS EXCLUSIVE when it is dropped), and changes none of their columns
-- nor triggers. `p_path` as in `leave`; `p_writable`: other schemas that may be changed. TN007, and what
-- `assert_inside` raises, so that it comes first.
create procedure tenantry.audit(p_schema oid, p_name text, p_current name, p_path text, p_writable text[])
language plpgsql as $$
declare
    entered timestamptz := tenantry.assert_inside(p_schema, p_name, p_current);
    own oid[] := pg_catalog.string_to_array(pg_catalog.current_setting('tenantry.own'), ' ');
    parent_rows text[] := pg_catalog.string_to_array(coalesce(pg_catalog.current_setting('tenantry.parent_rows', true), ''), ' ');
    parents oid[] := pg_catalog.string_to_array(pg_catalog.current_setting('tenantry.parents'), ' ');
    mark oid := pg_catalog.current_setting('tenantry.known');
    foreigners text;
begin
    select nullif(pg_catalog.concat_ws(', ',
               pg_catalog.string_agg(distinct pg_catalog.format('%I.%I', n.nspname, c.relname), ', ') filter (where c.oid is not null),
               'relations that are gone now (OID '
                   || pg_catalog.string_agg(distinct l.relation::text, ', ') filter (where c.oid is null) || ')'), '') into foreigners
      from pg_catalog.pg_locks l
      left join pg_catalog.pg_class c on c.oid = l.relation
      left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where l.locktype = 'relation' and l.pid = pg_catalog.pg_backend_pid() and l.granted
       and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
       and l.mode not in ('AccessShareLock', 'RowShareLock')
       and case when c.oid is null then l.relation <> all (own) and l.relation < mark
           else c.relnamespace <> p_schema
                and n.nspname <> all (array['pg_catalog', 'pg_toast'] || p_writable)
                and c.relpersistence <> 't'
                -- The record of the step before, in the same transaction.
                and not (n.nspname = 'tenantry' and l.mode = 'RowExclusiveLock' and pg_catalog.current_setting('tenantry.left', true) is not distinct from 'yes')
                and not (
                    l.mode in ('ShareRowExclusiveLock', 'AccessExclusiveLock')
                    and (c.oid = any (parents) or exists (
                        select from pg_catalog.pg_depend d
                          join pg_catalog.pg_constraint k on k.oid = d.objid
                         where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = c.oid
                           and d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
                           and k.contype = 'f' and k.confrelid = c.oid and k.connamespace = p_schema))
                    and not (l.mode = 'AccessExclusiveLock' and tenantry.is_ours(c.xmin)
                             and (c.oid::text || c.ctid::text) <> all (parent_rows))
                    and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and tenantry.is_ours(a.xmin))
                    and not exists (select from pg_catalog.pg_trigger t
                                     where t.tgrelid = c.oid and not t.tgisinternal and tenantry.is_ours(t.xmin))
                )
           end;
    if foreigners is not null then
        raise exception using errcode = 'TN007', message = 'the script changed what is not in its schema: ' || foreigners,
            hint = 'if tenants may change it, name its schema in migrations.also_writes';
    end if;
    perform pg_catalog.set_config('tenantry.left', 'yes', true);
    call tenantry.note_parents(p_schema);
end
$$;
