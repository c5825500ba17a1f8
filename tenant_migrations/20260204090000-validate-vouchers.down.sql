alter table order_items drop constraint order_items_percent_off_check;
alter table order_items drop constraint order_items_product_or_voucher;

alter table order_items
    add constraint order_items_product_or_voucher
    check ((product_id is null) = (percent_off is not null)) not valid;

alter table order_items
    add constraint order_items_percent_off_check
    check (percent_off > 0 and percent_off <= 100) not valid;
