alter table companies drop constraint companies_region_check;

alter table companies
    add constraint companies_region_check check (region in ('eu', 'us', 'ap')) not valid;
