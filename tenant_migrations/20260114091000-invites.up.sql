create table invites (
    id          bigint      generated always as identity primary key,
    email       text        not null,
    role        text        not null,
    token       uuid        not null default gen_random_uuid() constraint invites_token_key unique,
    invited_by  bigint      references members on delete set null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null default now() + interval '14 days',
    accepted_at timestamptz,
    constraint invites_role_check check (role in ('owner', 'admin', 'clerk'))
);

create index invites_invited_by_idx on invites (invited_by);
create unique index invites_one_pending_per_email on invites (lower(email)) where accepted_at is null;
