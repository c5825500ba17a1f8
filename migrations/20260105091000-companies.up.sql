create table companies (
    id         bigint      generated always as identity primary key,
    slug       text        not null constraint companies_slug_key unique,
    name       text        not null,
    plan_id    bigint      not null references plans,
    created_at timestamptz not null default now()
);

create index companies_plan_id_idx on companies (plan_id);

comment on table companies is 'Our customers: each sells in a shop of its own, a schema named like its slug.';
