alter table users drop constraint users_name_is_split;
