-- Migrations that are carried statement by statement. Whoever carries one holds the schema's own lock for the session; each
-- call below tries it again, which costs nothing then, and is a statement of its own: a snapshot of its own.

-- Nobody else may be at work on the schema, and it must be where the plan was made for. Never waits.
-- TN001 busy · TN002 stale · TN003 gone · TN004 dirty.
create function tenantry.hold(p_schema oid, p_name text, p_revision bigint, p_fence bigint) returns tenantry.heads
language plpgsql volatile as $$
declare
    head tenantry.heads;
begin
    if not pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | p_schema::bigint) then
        raise exception using errcode = 'TN001', message = 'another session is at work on this schema';
    end if;
    select h.* into head
      from tenantry.heads h join pg_catalog.pg_namespace n on n.oid = h.schema_oid and n.nspname = p_name::name
     where h.schema_oid = p_schema;
    if not found then
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
    return head;
end
$$;

-- Begins a migration, or goes on with it: how many of its statements are recorded, and whether the next one was begun.
-- TN009 unfinished: another migration is under way, or this one with another text.
create function tenantry.begin_statements(
    p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_version text, p_migration text, p_direction text,
    p_up bytea, p_down bytea, p_who text, out done integer, out is_open boolean, out before oid
)
language plpgsql volatile as $$
declare
    head tenantry.heads := tenantry.hold(p_schema, p_name, p_revision, p_fence);
    last tenantry.history;
begin
    done := 0;
    is_open := false;
    if head.running_version is not null then
        if (head.running_version, head.running_direction) <> (p_version, p_direction) then
            raise exception using errcode = 'TN009',
                message = pg_catalog.format('the schema is in the middle of %s on the way %s, which has to be finished first',
                                            head.running_version, head.running_direction);
        end if;
        select h.* into last from tenantry.history h
         where h.schema_oid = p_schema and h.schema_name = p_name and h.version = p_version and h.state in ('running', 'failed')
         order by h.id desc limit 1;
        if (case p_direction when 'up' then last.up_checksum else last.down_checksum end)
           is distinct from (case p_direction when 'up' then p_up else p_down end) then
            raise exception using errcode = 'TN009',
                message = pg_catalog.format('%s was begun with another text, of which %s were carried out', p_version,
                    case last.statements_done when 1 then '1 statement' else last.statements_done || ' statements' end),
                hint = pg_catalog.format('put the file back as it was to go on; or bring the schema to one side by hand, then say '
                    '`tenantry force %s TENANT` when all of it is there, `tenantry repair --clear-dirty TENANT` when nothing is', p_version);
        end if;
        done := last.statements_done;
        is_open := last.is_open;
        before := last.before;
    end if;
    if last.state = 'running' then
        update tenantry.history h set who = p_who, up_checksum = p_up, down_checksum = p_down, fence = p_fence where h.id = last.id;
    else
        insert into tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, state, how,
                                      revision, fence, who, started_at, statements_done, is_open, before)
        values (p_schema, p_name, p_version, p_migration, p_direction, p_up, p_down, 'running', 'run',
                p_revision, p_fence, p_who, pg_catalog.clock_timestamp(), done, is_open, before);
        update tenantry.heads h set running_version = p_version, running_direction = p_direction where h.schema_oid = p_schema;
    end if;
end
$$;

-- The row of what is running, at which so many statements must be recorded.
create function tenantry.running(p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer)
returns tenantry.history
language plpgsql volatile as $$
declare
    running tenantry.history;
begin
    perform tenantry.hold(p_schema, p_name, p_revision, p_fence);
    select h.* into running from tenantry.history h
     where h.schema_oid = p_schema and h.schema_name = p_name and h.state = 'running';
    if not found or running.statements_done <> p_done then
        raise exception using errcode = 'TN002', message = 'the migration was carried on by somebody else';
    end if;
    return running;
end
$$;

-- Opens the transaction of one statement that can be in one.
create function tenantry.enter_statement(p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer) returns void
language plpgsql volatile as $$
begin
    perform tenantry.running(p_schema, p_name, p_revision, p_fence, p_done);
    perform pg_catalog.set_config('tenantry.mark',
        pg_catalog.pg_current_xact_id()::text || ' ' || p_schema::text || ' ' || extract(epoch from pg_catalog.clock_timestamp())::text, false);
end
$$;

-- Closes it. `p_path` as in `leave`.
create function tenantry.leave_statement(
    p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer, p_current name, p_path text
) returns void
language plpgsql volatile as $$
declare
    running tenantry.history;
begin
    perform tenantry.assert_inside(p_schema, p_name, p_current);
    running := tenantry.running(p_schema, p_name, p_revision, p_fence, p_done);
    update tenantry.history h set statements_done = p_done + 1, note = null where h.id = running.id;
end
$$;

-- A statement is about to be begun outside a transaction. `p_before` is what it finds, to tell later what it left.
create function tenantry.open_statement(
    p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer, p_before oid, p_note text
) returns void
language plpgsql volatile as $$
declare
    running tenantry.history := tenantry.running(p_schema, p_name, p_revision, p_fence, p_done);
begin
    update tenantry.history h set is_open = true, before = p_before, note = p_note where h.id = running.id;
end
$$;

-- It is done, or nothing is left of it.
create function tenantry.close_statement(
    p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer, p_is_done boolean
) returns void
language plpgsql volatile as $$
declare
    running tenantry.history := tenantry.running(p_schema, p_name, p_revision, p_fence, p_done);
begin
    update tenantry.history h
       set statements_done = p_done + p_is_done::integer, is_open = false, before = null, note = null
     where h.id = running.id;
end
$$;

-- Closes the whole migration: what `leave` does for one that is a transaction.
create function tenantry.finish_statements(
    p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer, p_head text, p_digest bytea
) returns void
language plpgsql volatile as $$
declare
    running tenantry.history := tenantry.running(p_schema, p_name, p_revision, p_fence, p_done);
begin
    update tenantry.heads h
       set version = p_head, digest = p_digest, revision = h.revision + 1, running_version = null, running_direction = null,
           repeatables_digest = case running.direction when 'up' then h.repeatables_digest
                                else '\x0000000000000000000000000000000000000000000000000000000000000000' end
     where h.schema_oid = p_schema;
    update tenantry.history h
       set state = case running.direction when 'up' then 'applied' else 'reverted' end, revision = p_revision + 1,
           finished_at = pg_catalog.clock_timestamp(), note = null
     where h.id = running.id;
end
$$;

-- It stops at the next statement, of which nothing is left. Dirty: nothing tells how much of that was done, so that a person has to look.
create function tenantry.stop_statements(
    p_schema oid, p_name text, p_revision bigint, p_fence bigint, p_done integer, p_note text, p_dirty boolean
) returns void
language plpgsql volatile as $$
declare
    running tenantry.history := tenantry.running(p_schema, p_name, p_revision, p_fence, p_done);
begin
    update tenantry.history h
       set state = 'failed', note = p_note, finished_at = pg_catalog.clock_timestamp()
     where h.id = running.id;
    if p_dirty then
        update tenantry.heads h set dirty_version = running.version, revision = h.revision + 1 where h.schema_oid = p_schema;
    elsif p_done = 0 then
        -- Nothing of it is there: the schema is not in the middle of anything.
        update tenantry.heads h set running_version = null, running_direction = null where h.schema_oid = p_schema;
    end if;
end
$$;
