-- tenantry: no-transaction
-- What was ordered in a month is asked for all orders, not only the open ones; and shops must go on selling meanwhile.
create index concurrently orders_created_at_idx on orders (created_at);
