-- The registry of tenants: once, in the home database.
create table tenantry.tenants (
    name       text primary key check (octet_length(name) between 1 and 63),
    shard      text not null,
    state      text not null check (state in ('provisioning', 'active', 'suspended', 'retiring')),
    labels     jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
create index tenants_not_in_use on tenantry.tenants (state) where state <> 'active';
