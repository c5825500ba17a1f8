-- What one line adds to its order: a product its price, a voucher (a line with percent_off) what it takes off the
-- products. It is given the line's columns and reads no table, so it holds for every version of order_items.
create or replace function line_total(
    order_id bigint, quantity integer, unit_price numeric, percent_off numeric
) returns numeric
language sql
stable
as $$
    select case
        when percent_off is null then quantity * unit_price
        else -round(order_total(order_id, products_only => true) * percent_off / 100, 2)
    end
$$;
