-- Built by itself, the index blocks writers but no readers; taking it over as a constraint then lasts a moment.
create unique index users_email_key on users (email);
alter table users add constraint users_email_key unique using index users_email_key;
