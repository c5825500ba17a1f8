-- tenantry: backfill table=users batch=500 rate=5000/s
-- Between expand-user-names and fence-user-names: the first word is the given name, the rest the family name.
update users
set given_name = split_part(trim(full_name), ' ', 1),
    family_name = nullif(ltrim(substr(trim(full_name), strpos(trim(full_name) || ' ', ' '))), '')
where full_name is not null
    and given_name is null
    and {batch};
