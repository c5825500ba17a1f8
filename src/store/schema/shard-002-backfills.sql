-- How far each backfill has come in each schema. A cursor moves in the transaction that changes its batch, so that every
-- row is changed by exactly one committed batch, whatever is cut off when.
create table tenantry.backfill_cursors (
    -- A schema that is forgotten has no cursors; one that is pinned again keeps them.
    schema_oid oid not null references tenantry.heads on update cascade on delete cascade,
    backfill   text not null,
    checksum   bytea not null check (octet_length(checksum) = 32),
    key        text not null,
    -- The next batch: keys above low, up to and with high. No high: it was not looked for yet, or there is none.
    low        text,
    high       text,
    rows       bigint not null default 0,
    rows_done  bigint not null default 0,
    batches    bigint not null default 0,
    -- Raised by every change and never taken back, so that a batch prepared before a restart is refused after it.
    revision   bigint not null default 0,
    done       boolean not null default false,
    started_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (schema_oid, backfill),
    constraint nothing_follows_the_end check (not done or high is null)
) with (fillfactor = 50);

-- Opens the transaction of one batch: holds the cursor, which must be where the batch was prepared for. Never waits.
-- TN001 busy · TN002 stale · TN003 gone.
create function tenantry.enter_batch(p_schema oid, p_name text, p_backfill text, p_revision bigint) returns void
language plpgsql volatile as $$
declare
    found_revision bigint;
begin
    select c.revision into found_revision
      from tenantry.backfill_cursors c
     where c.schema_oid = p_schema and c.backfill = p_backfill
       for update skip locked;
    if not found then
        perform 1 from tenantry.backfill_cursors c where c.schema_oid = p_schema and c.backfill = p_backfill;
        if found then
            raise exception using errcode = 'TN001', message = 'another session is at work on this batch';
        end if;
        raise exception using errcode = 'TN003', message = 'the backfill''s cursor in this schema is gone';
    end if;
    if found_revision <> p_revision then
        raise exception using errcode = 'TN002', message = 'the backfill was carried on by somebody else';
    end if;
    perform 1 from pg_catalog.pg_namespace n where n.oid = p_schema and n.nspname = p_name::name;
    if not found then
        raise exception using errcode = 'TN003', message = 'the schema was dropped, renamed or made anew since it was pinned';
    end if;
end
$$;

-- Closes it: the batch is done, and the next one ends at p_high, where there is one.
create function tenantry.leave_batch(p_schema oid, p_backfill text, p_revision bigint, p_high text, p_rows bigint)
returns setof tenantry.backfill_cursors
language plpgsql volatile as $$
begin
    return query
        update tenantry.backfill_cursors c
           set low = coalesce(c.high, c.low), high = p_high, rows = coalesce(p_rows, 0), rows_done = c.rows_done + c.rows,
               batches = c.batches + (c.high is not null)::integer, revision = c.revision + 1, done = p_high is null,
               updated_at = pg_catalog.clock_timestamp()
         where c.schema_oid = p_schema and c.backfill = p_backfill and c.revision = p_revision
        returning c.*;
    if not found then
        raise exception using errcode = 'TN002', message = 'the backfill was carried on by somebody else';
    end if;
end
$$;
