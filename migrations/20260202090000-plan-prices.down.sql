alter table plans drop column monthly_price;
