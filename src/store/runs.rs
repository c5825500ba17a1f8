//! `tenantry.runs` and `tenantry.attempts`: one plan on one schema each, within a rollout.
//!
//! A run is claimed by a daemon that lives, and is free again when that daemon's time is over. Nobody ever waits for a row.

use std::time::Duration;

use jiff_sqlx::Timestamp;
use sqlx::FromRow;

use super::{StoreError, daemons::interval, freeze::number, rollouts::Told};
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
    /// Whether nobody knows where its schema stood before.
    pub is_unknown: bool,
}

/// How a run ended, or what became of the try.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its place in the wave.
    pub position: i32,
    /// What it is now.
    pub state: Now,
    /// The version it was left at.
    pub version: Option<String>,
    /// How many migrations are applied.
    pub applied: Option<usize>,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// What went wrong with a run.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What the error asks us to do, in a word.
    pub fault: String,
    /// In words.
    pub error: String,
    /// Who was in the way.
    pub blocker: Option<String>,
}

/// What a run is after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// It came through.
    Done,
    /// It did not, and is not tried again.
    Failed,
    /// Somebody may try again after this time; whether the try met a lock.
    Later(Duration, bool),
    /// It was not begun, and is to be after so long.
    Untouched(Duration),
}

impl Now {
    /// As it stands in the table.
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Later(..) | Self::Untouched(_) => "pending",
        }
    }
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
         returning r.position, r.schema_name, r.met, r.keep_applied, r.keep_digest, c.is_taken_over,
                   r.from_applied is null as is_unknown",
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

/// Writes how runs ended that this daemon has claimed. What another daemon has taken over meanwhile stays as that one finds it.
pub async fn report(
    connection: &mut Connection,
    of: Of,
    daemon: i64,
    outcomes: &[Outcome],
) -> Result<(), StoreError> {
    let trouble = |of: fn(&Trouble) -> Option<String>| -> Vec<Option<String>> {
        let troubles = outcomes.iter().map(|outcome| outcome.trouble.as_ref());
        troubles.map(|trouble| trouble.and_then(of)).collect()
    };
    let pauses = outcomes.iter().map(|outcome| match outcome.state {
        Now::Later(pause, _) | Now::Untouched(pause) => interval(pause),
        _ => interval(Duration::ZERO),
    });
    let met = outcomes
        .iter()
        .map(|outcome| matches!(outcome.state, Now::Later(_, true)));
    let untouched = outcomes
        .iter()
        .map(|outcome| matches!(outcome.state, Now::Untouched(_)));
    sqlx::query(
        "with e as materialized (
             select * from unnest($4::integer[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::text[], $10::text[],
                                  $11::interval[], $12::boolean[], $13::boolean[])
                  as e (position, state, version, applied, fault, error, blocker, pause, met, untouched)
         ), ended as (
             update tenantry.runs r
                set state = e.state, daemon = null,
                    to_version = case when e.applied is null then r.to_version else e.version end,
                    to_applied = coalesce(e.applied, r.to_applied),
                    fault = e.fault, error = e.error, blocker = e.blocker,
                    not_before = clock_timestamp() + e.pause, met = r.met + e.met::integer,
                    attempts = r.attempts - e.untouched::integer,
                    ended_at = case when e.state <> 'pending' then clock_timestamp() end
               from e
              where r.rollout = $1 and r.wave = $2 and r.position = e.position and r.daemon = $3
             returning r.position, r.attempts, e.fault, e.error, e.blocker, e.untouched
         ), tried as (
             insert into tenantry.attempts (rollout, wave, position, number, daemon, fault, error, blocker)
             select $1, $2, position, attempts, (select name from tenantry.daemons where id = $3), fault, error, blocker
               from ended where fault is not null and not untouched
             on conflict do nothing
         )
         select pg_notify('tenantry', 'runs')
          where exists (select from ended where fault is not null)
             or not exists (select from tenantry.runs r
                             where r.rollout = $1 and r.wave = $2 and r.state = 'pending'
                               and not exists (select from e where e.position = r.position and e.state <> 'pending'))",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .bind(daemon)
    .bind(outcomes.iter().map(|outcome| outcome.position).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|outcome| outcome.state.word()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|outcome| outcome.version.clone()).collect::<Vec<_>>())
    .bind(outcomes.iter().map(|outcome| outcome.applied.map(number)).collect::<Vec<_>>())
    .bind(trouble(|trouble| Some(trouble.fault.clone())))
    .bind(trouble(|trouble| Some(trouble.error.clone())))
    .bind(trouble(|trouble| trouble.blocker.clone()))
    .bind(pauses.collect::<Vec<_>>())
    .bind(met.collect::<Vec<_>>())
    .bind(untouched.collect::<Vec<_>>())
    .execute(connection)
    .answered(StoreError::query("write how runs ended"))
    .await?;
    Ok(())
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

/// What a rollout has changed: the schemas whose applied set is another one than before, those first that were changed last.
#[derive(Debug, Clone, FromRow)]
pub struct Changed {
    /// The wave that changed it.
    pub kind: String,
    /// The database.
    pub shard: String,
    /// The schema.
    pub schema_name: String,
    /// The version it was left at.
    pub to_version: Option<String>,
    /// How many migrations were applied before, and their hash.
    pub from_applied: i32,
    /// The hash of what was applied before.
    pub from_digest: Vec<u8>,
    /// How many are applied since.
    pub to_applied: i32,
}

/// See [`Changed`].
pub async fn changed(
    connection: &mut Connection,
    rollout: i64,
) -> Result<Vec<Changed>, StoreError> {
    sqlx::query_as(
        "select kind, shard, schema_name, to_version, from_applied, from_digest, to_applied
           from (select w.kind, r.shard, r.schema_name, r.to_version, r.to_applied, r.ended_at, r.wave, r.position,
                        -- A schema may have been moved in several waves: back to where the first found it.
                        first_value(r.from_applied) over forth as from_applied,
                        first_value(r.from_digest) over forth as from_digest,
                        row_number() over (partition by r.shard, r.schema_name order by r.wave desc) as newest
                   from tenantry.runs r join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
                  where r.rollout = $1 and w.kind in ('shared', 'canary', 'wave') and r.to_applied <> r.from_applied
                 window forth as (partition by r.shard, r.schema_name order by r.wave)) r
          where newest = 1
          order by ended_at desc nulls first, wave desc, position desc",
    )
    .bind(rollout)
    .fetch_all(connection)
    .answered(StoreError::query("read what a rollout has changed"))
    .await
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
                set state = 'pending', not_before = '-infinity', met = 0, ended_at = null, fault = null, blocker = null
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
