create table users (
    id         bigint      generated always as identity primary key,
    email      text        not null,
    created_at timestamptz not null default now(),
    full_name  text
);

comment on table users is 'People who can sign in to this shop: its customers and its staff.';
