create table orders (
    id         bigint      generated always as identity primary key,
    user_id    bigint      not null references users,
    status     text        not null default 'open',
    created_at timestamptz not null default now(),
    paid_at    timestamptz,
    constraint orders_status_check check (status in ('open', 'paid', 'shipped', 'cancelled'))
);

create index orders_user_id_idx on orders (user_id);
create index orders_open_idx on orders (created_at) where status = 'open';
