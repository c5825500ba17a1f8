alter table plans add column monthly_price numeric(10, 2) not null default 0;

update plans set monthly_price = 29 where code = 'team';
update plans set monthly_price = 99 where code = 'business';

comment on column plans.monthly_price is 'In euros, before taxes.';
