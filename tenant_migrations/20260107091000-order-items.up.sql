create table order_items (
    id         bigint         generated always as identity primary key,
    order_id   bigint         not null references orders on delete cascade,
    product_id bigint         not null references products,
    quantity   integer        not null constraint order_items_quantity_check check (quantity > 0),
    unit_price numeric(12, 2) not null
);

create index order_items_order_id_idx on order_items (order_id);
create index order_items_product_id_idx on order_items (product_id);

comment on column order_items.unit_price is 'The price when it was ordered; products.price moves on.';
