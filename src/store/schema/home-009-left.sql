-- The hash of what was applied when a rollout had done the last thing it did to a schema: only who stands there is taken back.

alter table tenantry.runs add column to_digest bytea check (octet_length(to_digest) = 32);
