drop view open_orders;
