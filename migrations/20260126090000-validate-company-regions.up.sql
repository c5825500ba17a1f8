-- tenantry: statement-timeout=30min
-- Reads the whole table, while others go on reading and writing it.
alter table companies validate constraint companies_region_check;
