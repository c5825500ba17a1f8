-- What an order costs: the sum of its lines. Vouchers ask again for the products alone, and so it ends.
create or replace function order_total(order_id bigint, products_only boolean default false) returns numeric
language plpgsql
stable
as $$
begin
    return (
        select coalesce(sum(line_total(item.order_id, item.quantity, item.unit_price, item.percent_off)), 0)
        from order_items as item
        where item.order_id = order_total.order_id
            and (item.percent_off is null or not products_only)
    );
end
$$;
