alter table order_items drop constraint order_items_percent_off_check;
alter table order_items drop constraint order_items_product_or_voucher;

-- What a voucher is cannot be said without the column.
delete from order_items where product_id is null;

alter table order_items drop column percent_off;
alter table order_items alter column product_id set not null;
