alter table companies drop constraint companies_region_check;
alter table companies drop column region;
