-- A voucher is a line of the order without a product: it takes some percent off the lines that have one.
alter table order_items alter column product_id drop not null;
alter table order_items add column percent_off numeric(5, 2);

alter table order_items
    add constraint order_items_product_or_voucher
    check ((product_id is null) = (percent_off is not null)) not valid;

alter table order_items
    add constraint order_items_percent_off_check
    check (percent_off > 0 and percent_off <= 100) not valid;

comment on column order_items.percent_off is 'Set on vouchers only.';
