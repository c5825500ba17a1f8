-- What a shop has sold so far: runs with the tenant's schema as the search path.
insert into users (email, full_name)
select format('%s.%s.%s@example.com', lower(given), lower(family), number), given || ' ' || family
from (
    select number,
           (array['Ada', 'Bjarne', 'Chipo', 'Dana', 'Emre', 'Fatima', 'Grace', 'Hiro'])[1 + number % 8] as given,
           (array['Lovelace', 'Okafor', 'Petrova', 'Silva', 'Tanaka', 'Yilmaz', 'Ziegler'])[1 + number % 7] as family
    from generate_series(1, 60) number
) people;

insert into products (sku, name, price)
select 'A-' || number, 'Article ' || number, 5 + number
from generate_series(1, 20) number;

insert into orders (user_id, status)
select id, case when id % 3 = 0 then 'open' else 'paid' end
from users;

insert into order_items (order_id, product_id, quantity, unit_price)
select orders.id, products.id, 1 + orders.id % 3, products.price
from orders
join products on products.id % 20 = orders.id % 20;
