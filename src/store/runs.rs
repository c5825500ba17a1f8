//! `tenantry.runs` and `tenantry.attempts`: one plan on one schema each, within a rollout.
//!
//! A run is claimed by a daemon that lives, and is free again when that daemon's time is over. Nobody ever waits for a row.

use std::time::Duration;

use jiff_sqlx::Timestamp;
use sqlx::FromRow;

pub use super::outcomes::{Now, Outcome, Place, Trouble, report};
use super::{
    StoreError,
    rollouts::{Told, under_way},
};
use crate::{
    postgres::{Answered, Connection},
    tenant::ShardName,
};

/// Which runs: those of one wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Of {
    /// The rollout.
    pub rollout: i64,
    /// The wave's number.
    pub wave: i32,
}

/// A run that was claimed.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Claimed {
    /// Its place in the wave.
    pub position: i32,
    /// The schema's name.
    pub schema_name: String,
    /// How often it has met a lock.
    pub met: i32,
    /// How many migrations are to be left, on the way back.
    pub keep_applied: Option<i32>,
    /// The hash of these.
    pub keep_digest: Option<Vec<u8>>,
    /// Whether a daemon had it that is dead.
    pub is_taken_over: bool,
    /// Where the schema was expected to stand before this run: the version, how many migrations, and their hash. Nothing of it
    /// is known of one whose shard was away when the rollout was planned, before it is begun.
    pub from_version: Option<String>,
    /// See `from_version`.
    pub from_applied: Option<i32>,
    /// See `from_version`.
    pub from_digest: Option<Vec<u8>>,
    /// The hash of what an earlier try has left.
    pub to_digest: Option<Vec<u8>>,
    /// What the try before met, in a word.
    pub fault: Option<String>,
    /// The state of the tenant of that name in the registry; none where there is no such on the shard.
    pub tenant: Option<String>,
}

/// Whether a rollout that is running has runs left on a shard.
pub async fn are_left(connection: &mut Connection, shard: &ShardName) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "select exists (select from tenantry.runs r join tenantry.rollouts o on o.id = r.rollout
                         where o.state = 'running' and r.shard = $1 and r.state = 'pending')",
    )
    .bind(shard.as_str())
    .fetch_one(connection)
    .answered(StoreError::query("see whether a rollout is at a shard"))
    .await
}

/// Claims up to `most` runs of a shard, those first that are to be begun first: none while the rollout is held up, or the
/// failure budget is spent, or this daemon's time is over.
///
/// Whoever claims does not wait until that is on the disk. Should the server forget it, somebody else claims the same, and
/// finds each schema locked, or where it was to go.
pub async fn claim(
    connection: &mut Connection,
    of: Of,
    shard: &ShardName,
    daemon: i64,
    most: usize,
) -> Result<Vec<Claimed>, StoreError> {
    sqlx::query_as(
        "with open as materialized (
             select from tenantry.rollouts r
               join tenantry.waves w on w.rollout = r.id and w.number = $2 and w.state = 'running'
               join tenantry.daemons d on d.id = $4 and d.expires_at > clock_timestamp()
              where r.id = $1 and r.state = 'running' and r.wanted = case when r.back then 'back' else 'run' end
                and pg_catalog.set_config('synchronous_commit', 'off', true) is not null
                and coalesce(r.open_until > clock_timestamp(), true)
                and not exists (select from tenantry.runs f join tenantry.waves fw on fw.rollout = $1 and fw.number = f.wave
                                 where f.rollout = $1 and f.state = 'failed' and f.fault in ('author', 'escaped', 'foreign')
                                   and r.back = (fw.kind in ('back', 'shared back')))
                and (select count(*) from tenantry.runs f where f.rollout = $1 and f.state = 'failed') - r.forgiven <= r.budget
                and (select count(*) from tenantry.runs f where f.rollout = $1 and f.wave = $2 and f.state = 'failed')
                    - w.forgiven <= w.budget
         ), chosen as materialized (
             select r.ctid as place, r.daemon is not null as is_taken_over
               from tenantry.runs r
              where r.rollout = $1 and r.wave = $2 and r.shard = $3
                and exists (select from open)
                and r.state = 'pending' and r.not_before <= clock_timestamp()
                and (r.daemon is null
                     or not exists (select from tenantry.daemons d where d.id = r.daemon and d.expires_at > clock_timestamp()))
              order by r.position limit $5
                for update skip locked
         )
         -- By the places of the locked rows: what the planner knows of a table just filled may be anything.
         update tenantry.runs r
            set daemon = $4, attempts = r.attempts + 1, begun_at = coalesce(r.begun_at, clock_timestamp())
           from chosen c
          where r.ctid = c.place
         returning r.position, r.schema_name, r.met, r.keep_applied, r.keep_digest, c.is_taken_over, r.from_version,
                   r.from_applied, r.from_digest, r.to_digest, r.fault,
                   (select t.state from tenantry.tenants t where t.name = r.schema_name and t.shard = r.shard) as tenant",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .bind(shard.as_str())
    .bind(daemon)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .answered(StoreError::query("claim runs"))
    .await
    .map(|mut claimed: Vec<Claimed>| {
        claimed.sort_by_key(|run| run.position);
        claimed
    })
}

/// How long until a run of these may be begun that somebody is to try again; none where there is no such.
pub async fn next_try(connection: &mut Connection, of: Of) -> Result<Option<Duration>, StoreError> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from min(greatest(not_before, clock_timestamp())) - clock_timestamp())::double precision
           from tenantry.runs where rollout = $1 and wave = $2 and state = 'pending' and daemon is null",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .fetch_one(connection)
    .answered(StoreError::query("see when a run is tried again"))
    .await?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}

/// Lets those runs be tried again that failed or were skipped. Gives how many.
pub async fn retry(
    connection: &mut Connection,
    rollout: i64,
    told: &Told<'_>,
) -> Result<u64, StoreError> {
    let again: i64 = sqlx::query_scalar(
        "with again as (
             update tenantry.runs r
                set state = 'pending', not_before = '-infinity', met = 0, ended_at = null, blocker = null,
                    -- What has failed here may be why it cannot be begun now.
                    fault = case when r.state = 'failed' then r.fault end
               from tenantry.rollouts o, tenantry.waves w
              where r.rollout = $1 and o.id = $1 and w.rollout = $1 and w.number = r.wave
                and o.back = (w.kind in ('back', 'shared back'))
                and r.state in ('failed', 'skipped') and o.state in ('running', 'paused', 'halted')
             returning r.wave
         ), reopened as (
             update tenantry.waves w set state = 'running', ended_at = null, soaks_until = null
              where w.rollout = $1 and w.state in ('soaking', 'done') and w.number in (select wave from again)
         ), resumed as (
             update tenantry.rollouts o set wanted = case when back then 'back' else 'run' end
              where o.id = $1 and o.state in ('running', 'paused', 'halted')
             returning id
         ), told as (
             insert into tenantry.events (who, action, rollout, why) select $2, $3, id, $4 from resumed
         )
         select count(*) from again",
    )
    .bind(rollout)
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .fetch_one(connection)
    .answered(StoreError::query("let runs be tried again"))
    .await?;
    Ok(again.unsigned_abs())
}

/// Lets a way back go on that is over: what of it failed, was skipped or was never begun is to be begun. False where it is not
/// over, or another rollout is under way.
pub async fn back_again(
    connection: &mut Connection,
    rollout: i64,
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let resumed = sqlx::query(concat!(
        "with others as (
             select id from tenantry.rollouts where id <> $1 and ",
        under_way!(),
        "
         ), resumed as (
             update tenantry.rollouts r
                set state = 'running', wanted = 'back', ended_at = null, why = null,
                    -- Those of the way back are tried again, and may fail again as often as they might.
                    forgiven = (select count(*) from tenantry.runs f join tenantry.waves w on w.rollout = $1 and w.number = f.wave
                                 where f.rollout = $1 and f.state = 'failed' and w.kind not in ('back', 'shared back'))::integer
              where r.id = $1 and r.back and r.state in ('complete', 'cancelled')
                and not exists (select from others)
             returning id
         ), again as (
             update tenantry.runs r
                set state = 'pending', not_before = '-infinity', met = 0, ended_at = null, blocker = null,
                    -- What has failed here may be why it cannot be begun now.
                    fault = case when r.state <> 'skipped' then r.fault end
               from resumed, tenantry.waves w
              where r.rollout = resumed.id and w.rollout = resumed.id and w.number = r.wave
                and w.kind in ('back', 'shared back') and r.state in ('failed', 'skipped', 'pending')
             returning r.wave
         ), reopened as (
             update tenantry.waves w set state = 'running', ended_at = null, soaks_until = null, forgiven = 0
              where w.rollout = $1 and w.state <> 'waiting' and w.number in (select wave from again)
         )
         insert into tenantry.events (who, action, rollout, why) select $2, $3, id, $4 from resumed",
    ))
    .bind(rollout)
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .execute(connection)
    .answered(StoreError::query("let a way back go on"))
    .await?;
    Ok(resumed.rows_affected() == 1)
}

/// A run in trouble, or one that is under way.
#[derive(Debug, Clone, FromRow)]
pub struct Shown {
    /// The wave's number.
    pub wave: i32,
    /// The database.
    pub shard: String,
    /// The schema.
    pub schema_name: String,
    /// `pending`, `running`, `failed` or `skipped`.
    pub state: String,
    /// How often it was begun.
    pub attempts: i32,
    /// What the last error asks us to do.
    pub fault: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Who was in the way.
    pub blocker: Option<String>,
    /// When it was begun first.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// The runs that failed, were skipped or have met something on their way, those first that did last.
pub async fn troubles(
    connection: &mut Connection,
    rollout: i64,
    most: i64,
) -> Result<Vec<Shown>, StoreError> {
    sqlx::query_as(
        "select wave, shard, schema_name, case when daemon is null then state else 'running' end as state, attempts, fault, error, blocker, begun_at, ended_at
           from tenantry.runs
          where rollout = $1 and (state in ('failed', 'skipped') or (state = 'pending' and error is not null))
          order by ended_at desc nulls first, wave, position limit $2",
    )
    .bind(rollout)
    .bind(most)
    .fetch_all(connection)
    .answered(StoreError::query("read which runs are in trouble"))
    .await
}
