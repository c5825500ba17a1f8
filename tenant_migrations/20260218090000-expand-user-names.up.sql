-- Expand: from now on the application writes both forms of a name and still reads the old one.
-- The backfill split-user-names does the rows that were there before.
alter table users
    add column given_name text,
    add column family_name text;

comment on column users.full_name is 'Going away: see given_name and family_name.';
