create table plans (
    id         bigint      generated always as identity primary key,
    code       text        not null constraint plans_code_key unique,
    name       text        not null,
    created_at timestamptz not null default now()
);

comment on table plans is 'What a company can subscribe to.';

insert into plans (code, name)
values ('free', 'Free'), ('team', 'Team'), ('business', 'Business');
