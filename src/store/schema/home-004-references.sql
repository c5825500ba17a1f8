-- What a history makes depends on the shared schema below it and on what the database had before it, too. Nothing is lost with
-- what was kept without that: it is tried out again.
delete from tenantry.structures;
alter table tenantry.structures
    -- What is applied in the shared schema below; of a shared schema the digest of nothing.
    add column below bytea not null check (octet_length(below) = 32),
    -- What `--prepare` had; the digest of nothing where there was none.
    add column prepare bytea not null check (octet_length(prepare) = 32),
    drop constraint structures_pkey,
    add primary key (scope, digest, repeatables, postgres, recipe, below, prepare);
