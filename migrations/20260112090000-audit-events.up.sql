create table audit_events (
    id          bigint      generated always as identity primary key,
    table_name  text        not null,
    row_id      bigint      not null,
    action      text        not null,
    before      jsonb,
    after       jsonb,
    changed_by  text        not null default session_user,
    occurred_at timestamptz not null default now()
);

create index audit_events_row_idx on audit_events (table_name, row_id);

-- Whoever changes a company has another search_path than this script: the function keeps the script's.
create function record_change() returns trigger
language plpgsql
set search_path from current
as $$
begin
    insert into audit_events (table_name, row_id, action, before, after)
    values (
        tg_table_name,
        case when tg_op = 'DELETE' then old.id else new.id end,
        lower(tg_op),
        case when tg_op <> 'INSERT' then to_jsonb(old) end,
        case when tg_op <> 'DELETE' then to_jsonb(new) end
    );
    return null;
end
$$;

create trigger companies_record_change
after insert or update or delete on companies
for each row execute function record_change();

comment on table audit_events is 'Who changed what about a company, and when. Written by triggers only.';
