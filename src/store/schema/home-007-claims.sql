-- A run is at work while it has a daemon, and no index knows: claiming one touches nothing but its row, in its page.

drop index tenantry.runs_to_be_claimed;
alter table tenantry.runs
    drop constraint runs_state_check,
    -- The number of a daemon that is gone tells whoever claims the run next that somebody may still be at work on its schema.
    drop constraint runs_daemon_fkey,
    set (fillfactor = 60);
update tenantry.runs set state = 'pending', daemon = coalesce(daemon, 0) where state = 'running';
alter table tenantry.runs
    add constraint runs_state_check check (state in ('pending', 'done', 'failed', 'skipped')),
    add constraint only_what_is_pending_is_at_work check (state = 'pending' or daemon is null);
create index runs_to_be_claimed on tenantry.runs (rollout, wave, shard, position) where state = 'pending';
