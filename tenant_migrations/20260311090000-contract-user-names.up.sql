-- tenantry: lock-timeout=1s
-- Contract: nobody reads or writes the old form any more.
alter table users drop constraint users_name_is_split;
alter table users drop column full_name;
