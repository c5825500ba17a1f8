create table products (
    id          bigint         generated always as identity primary key,
    sku         text           not null constraint products_sku_key unique,
    name        text           not null,
    description text           not null default '',
    price       numeric(12, 2) not null constraint products_price_check check (price >= 0),
    active      boolean        not null default true,
    created_at  timestamptz    not null default now()
);

comment on column products.sku is 'The company''s own article number.';
