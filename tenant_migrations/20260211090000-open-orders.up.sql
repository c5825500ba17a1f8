create view open_orders as
select orders.id, users.email, orders.created_at, count(order_items.id) as lines
from orders
join users on users.id = orders.user_id
left join order_items on order_items.order_id = orders.id
where orders.status = 'open'
group by orders.id, users.email, orders.created_at;

comment on view open_orders is 'What is still to be paid, and by whom.';
