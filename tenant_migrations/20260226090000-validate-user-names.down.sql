alter table users drop constraint users_name_is_split;

alter table users
    add constraint users_name_is_split check (full_name is null or given_name is not null) not valid;
