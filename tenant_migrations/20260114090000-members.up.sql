create table members (
    id        bigint      generated always as identity primary key,
    user_id   bigint      not null constraint members_user_id_key unique references users on delete cascade,
    role      text        not null,
    joined_at timestamptz not null default now(),
    constraint members_role_check check (role in ('owner', 'admin', 'clerk'))
);

comment on table members is 'The users who are the company''s staff.';
