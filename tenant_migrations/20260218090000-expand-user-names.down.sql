comment on column users.full_name is null;

alter table users
    drop column family_name,
    drop column given_name;
