-- A column that comes back comes last. The newer two are made again after it, so that the order of the columns is
-- what it was: programs that insert without naming columns, and dumps, depend on it.
alter table users rename column given_name to given_name_before;
alter table users rename column family_name to family_name_before;

alter table users
    add column full_name text,
    add column given_name text,
    add column family_name text;

update users
set full_name = nullif(concat_ws(' ', given_name_before, nullif(family_name_before, '')), ''),
    given_name = given_name_before,
    family_name = family_name_before;

alter table users
    drop column given_name_before,
    drop column family_name_before;

alter table users
    add constraint users_name_is_split check (full_name is null or given_name is not null) not valid;
alter table users validate constraint users_name_is_split;

comment on column users.full_name is 'Going away: see given_name and family_name.';
