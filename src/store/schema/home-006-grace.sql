-- Tenants that are being retired and can be had back for a while.

alter table tenantry.tenants
    -- While it can be had back: the state that it has again then. Gone as soon as its schema may be.
    add column retired_from text check (retired_from in ('provisioning', 'active', 'suspended')),
    -- When a daemon drops its schema, and which one does; without a time it is whoever retires it who does.
    add column drop_after   timestamptz,
    add column dropper      bigint references tenantry.daemons on delete set null,
    add constraint only_who_is_retiring_is_dropped
        check (state = 'retiring' or (retired_from is null and drop_after is null and dropper is null));
create index tenants_to_drop on tenantry.tenants (drop_after) where drop_after is not null;
