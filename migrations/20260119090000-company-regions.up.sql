-- A constant default rewrites nothing, and NOT VALID reads nothing: both locks are held for a moment only.
alter table companies add column region text not null default 'eu';

alter table companies
    add constraint companies_region_check check (region in ('eu', 'us', 'ap')) not valid;

comment on column companies.region is 'Where the company''s shop is kept.';
