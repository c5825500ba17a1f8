-- Rollouts: the fleet taken to a goal wave by wave, by whichever daemons there are.

-- The daemons that live. Each renews its row in time; one whose time is over is dead to the others, whatever its clock says:
-- all times here are this server's. A later one has a higher number.
create table tenantry.daemons (
    id         bigint generated always as identity primary key,
    name       text not null,
    started_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);

-- How many connections may be at work on a shard, of all daemons together: who has one of these.
create table tenantry.slots (
    shard  text not null,
    number integer not null check (number > 0),
    daemon bigint references tenantry.daemons on delete set null,
    primary key (shard, number)
);

-- Why a daemon begins nothing more on a shard for now.
create table tenantry.holds (
    daemon bigint not null references tenantry.daemons on delete cascade,
    shard  text not null,
    why    text not null,
    since  timestamptz not null default clock_timestamp(),
    primary key (daemon, shard)
);

-- What operators want of a rollout is in `wanted`; where it is, in `state`, which only the daemon that conducts it writes.
create table tenantry.rollouts (
    id           bigint generated always as identity primary key,
    -- Where to: a version, or all that the files have.
    goal         text,
    selector     text,
    strategy     jsonb not null,
    -- How far it goes for now, where the next migration waits for something: the version before that.
    reach        text,
    -- The hash of the migrations up to the goal: no daemon with other files carries this rollout.
    files        bytea not null check (octet_length(files) = 32),
    wanted       text not null default 'run' check (wanted in ('run', 'pause', 'cancel', 'back')),
    state        text not null default 'waiting'
                 check (state in ('waiting', 'running', 'paused', 'halted', 'complete', 'cancelled')),
    -- Whether it takes back what it has done.
    back         boolean not null default false,
    -- Why it does not get on, where it does not.
    why          text,
    daemon       bigint references tenantry.daemons on delete set null,
    -- Until when runs may be claimed: the end of the maintenance window. Without one, for ever.
    open_until   timestamptz,
    -- The tenants it is about, and the hash of their names, places and OIDs; how many of them were at the goal already.
    targets      integer check (targets >= 0),
    targets_hash bytea check (octet_length(targets_hash) = 32),
    current      integer check (current >= 0),
    -- How many may fail, and how many of those that did are forgiven by whoever resumed it.
    budget       integer not null default 0 check (budget >= 0),
    forgiven     integer not null default 0 check (forgiven >= 0),
    who          text not null,
    reason       text,
    created_at   timestamptz not null default clock_timestamp(),
    begun_at     timestamptz,
    ended_at     timestamptz,
    constraint an_end_has_a_time check ((state in ('complete', 'cancelled')) = (ended_at is not null)),
    constraint what_is_begun_has_targets check (begun_at is null or (targets is not null and targets_hash is not null))
);
create unique index one_active_rollout on tenantry.rollouts ((true)) where state not in ('complete', 'cancelled');

create table tenantry.waves (
    rollout        bigint not null references tenantry.rollouts on delete cascade,
    number         integer not null check (number >= 0),
    kind           text not null check (kind in ('shared', 'canary', 'wave', 'back', 'shared back')),
    targets        integer not null check (targets >= 0),
    budget         integer not null check (budget >= 0),
    forgiven       integer not null default 0 check (forgiven >= 0),
    needs_approval boolean not null default false,
    approved_by    text,
    approved_at    timestamptz,
    state          text not null default 'waiting' check (state in ('waiting', 'running', 'soaking', 'done')),
    begun_at       timestamptz,
    -- When the last of its runs ended, and until when it is watched.
    ended_at       timestamptz,
    soaks_until    timestamptz,
    -- Since when the health gate behind it is shut.
    shut_since     timestamptz,
    primary key (rollout, number)
);

-- One plan on one schema, within a wave.
create table tenantry.runs (
    rollout      bigint not null,
    wave         integer not null,
    position     integer not null,
    shard        text not null,
    schema_name  text not null,
    state        text not null default 'pending' check (state in ('pending', 'running', 'done', 'failed', 'skipped')),
    not_before   timestamptz not null default '-infinity',
    daemon       bigint references tenantry.daemons on delete set null,
    -- How often it was begun, and how often of these it met a lock.
    attempts     integer not null default 0,
    met          integer not null default 0,
    -- Where the schema stood when the rollout was planned, and where it was left: the version, the hash of what was applied,
    -- and how many migrations were.
    from_version text,
    from_digest  bytea not null check (octet_length(from_digest) = 32),
    from_applied integer not null,
    to_version   text,
    to_applied   integer,
    -- On the way back: how many migrations are to be left, and the hash of these.
    keep_applied integer,
    keep_digest  bytea check (octet_length(keep_digest) = 32),
    fault        text,
    error        text,
    blocker      text,
    begun_at     timestamptz,
    ended_at     timestamptz,
    primary key (rollout, wave, position),
    foreign key (rollout, wave) references tenantry.waves on delete cascade,
    constraint one_run_a_schema unique (rollout, wave, shard, schema_name),
    constraint an_ended_run_has_a_time check ((state in ('done', 'failed', 'skipped')) = (ended_at is not null))
);
create index runs_to_be_claimed on tenantry.runs (rollout, wave, shard, position) where state in ('pending', 'running');
create index runs_in_trouble on tenantry.runs (rollout, wave) where state in ('failed', 'skipped');

-- The tries of runs that did not come through.
create table tenantry.attempts (
    rollout  bigint not null,
    wave     integer not null,
    position integer not null,
    number   integer not null,
    daemon   text not null,
    at       timestamptz not null default clock_timestamp(),
    fault    text not null,
    error    text not null,
    blocker  text,
    primary key (rollout, wave, position, number),
    foreign key (rollout, wave, position) references tenantry.runs on delete cascade
);

-- The hooks that came through: no daemon runs them again.
create table tenantry.hooks (
    rollout  bigint not null references tenantry.rollouts on delete cascade,
    name     text not null,
    ended_at timestamptz not null default clock_timestamp(),
    primary key (rollout, name)
);

-- The contract migrations of which somebody said that no application needs any more what they take away.
create table tenantry.acks (
    version text primary key,
    who     text not null,
    why     text,
    at      timestamptz not null default clock_timestamp()
);

-- What people and daemons did, with who and why: written in the transaction of what was done, and never changed.
create table tenantry.events (
    id      bigint generated always as identity primary key,
    at      timestamptz not null default clock_timestamp(),
    who     text not null,
    action  text not null,
    rollout bigint,
    wave    integer,
    why     text
);
create index events_of_a_rollout on tenantry.events (rollout, id);

-- Wakes whoever waits for something to change: daemons, and people who watch.
create function tenantry.tell() returns trigger language plpgsql as $$
begin
    perform pg_catalog.pg_notify('tenantry', tg_table_name);
    return null;
end
$$;
-- For each row: a trigger for each statement would tell of an UPDATE that has changed nothing, too, and whoever looks because
-- something was told, and says why it waits, would wake itself for ever. What is told twice in a transaction is told once.
create trigger rollouts_tell after insert or update on tenantry.rollouts
    for each row execute function tenantry.tell();
create trigger hooks_tell after insert on tenantry.hooks
    for each row execute function tenantry.tell();
create trigger acks_tell after insert on tenantry.acks
    for each row execute function tenantry.tell();
create trigger waves_tell after insert or update on tenantry.waves
    for each row execute function tenantry.tell();

create function tenantry.keep_events() returns trigger language plpgsql as $$
begin
    raise exception using errcode = '42501', message = 'tenantry.events is written once: its rows are neither changed nor taken away';
end
$$;
create trigger events_are_kept before update or delete or truncate on tenantry.events
    for each statement execute function tenantry.keep_events();
