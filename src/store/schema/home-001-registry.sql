-- The registry of tenants: once, in the home database.
create table tenantry.tenants (
    name       text primary key check (octet_length(name) between 1 and 63),
    shard      text not null,
    state      text not null check (state in ('provisioning', 'active', 'suspended', 'renaming', 'retiring')),
    labels     jsonb not null default '{}' check (jsonb_typeof(labels) = 'object'),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    -- While it is being renamed: to what, and the state that it has again afterwards.
    new_name   text unique check (octet_length(new_name) between 1 and 63),
    after      text check (after in ('active', 'suspended')),
    constraint a_rename_knows_its_end check ((state = 'renaming') = (new_name is not null and after is not null)),
    constraint no_end_without_a_rename check (state = 'renaming' or (new_name is null and after is null))
);
create index tenants_not_in_use on tenantry.tenants (state) where state <> 'active';
