-- Where a schema stands whose shard is away when a rollout is planned, or that cannot be moved then, is found out when its run
-- is begun.

alter table tenantry.runs
    alter column from_digest drop not null,
    alter column from_applied drop not null,
    add constraint what_is_known_is_known_whole check ((from_digest is null) = (from_applied is null));

-- Rollouts that were started before waves could grow.
update tenantry.rollouts set strategy = '{"growth": 0}'::jsonb || strategy;
