-- The backfill has been through, and no release is left that writes only the old form: see to it that none comes back.
alter table users
    add constraint users_name_is_split check (full_name is null or given_name is not null) not valid;
