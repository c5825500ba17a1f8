drop trigger companies_record_change on companies;
drop function record_change();
drop table audit_events;
