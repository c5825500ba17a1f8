-- tenantry: statement-timeout=30min
-- Fails where the backfill has left a row out, so that the contract migration cannot lose a name.
alter table users validate constraint users_name_is_split;
