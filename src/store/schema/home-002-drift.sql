-- What schemas should look like, and which ones do not.

-- What a history makes, tried out once on a scratch server: for each digest, as one major version of PostgreSQL writes it and
-- one tenantry reads it.
create table tenantry.structures (
    scope        text not null check (scope in ('shared', 'tenant')),
    digest       bytea not null check (octet_length(digest) = 32),
    repeatables  bytea not null check (octet_length(repeatables) = 32),
    postgres     integer not null,
    recipe       bytea not null check (octet_length(recipe) = 32),
    structure    jsonb not null,
    made_at      timestamptz not null default clock_timestamp(),
    primary key (scope, digest, repeatables, postgres, recipe)
);

-- Schemas that looked otherwise than they should when they were last looked at: one row each, gone when they are mended.
create table tenantry.drifted (
    shard       text not null,
    schema_name text not null,
    version     text,
    -- What it was compared with: what its history makes, or what most of those have that stand where it stands.
    reference   text not null check (reference in ('history', 'majority')),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    -- In words, a line each.
    summary     text[] not null,
    first_seen  timestamptz not null default clock_timestamp(),
    last_seen   timestamptz not null default clock_timestamp(),
    primary key (shard, schema_name)
);
