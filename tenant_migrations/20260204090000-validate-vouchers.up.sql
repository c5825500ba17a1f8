-- tenantry: statement-timeout=30min
alter table order_items validate constraint order_items_product_or_voucher;
alter table order_items validate constraint order_items_percent_off_check;
