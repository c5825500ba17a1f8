//! `tenantry.waves`: the parts of a rollout that are begun one after the other.

use std::time::Duration;

use jiff_sqlx::Timestamp;
use sqlx::FromRow;

use super::{StoreError, daemons::interval, rollouts::Told};
use crate::postgres::{Answered, Connection};

/// One row of `tenantry.waves`, and how its runs are.
#[derive(Debug, Clone, FromRow)]
pub struct Wave {
    /// Its number within the rollout.
    pub number: i32,
    /// `shared`, `canary`, `wave`, `back` or `shared back`.
    pub kind: String,
    /// How many schemas it moves.
    pub targets: i32,
    /// How many of these may fail.
    pub budget: i32,
    /// How many of those that failed are forgiven.
    pub forgiven: i32,
    /// Whether somebody has to say that it may begin.
    pub needs_approval: bool,
    /// Who said so.
    pub approved_by: Option<String>,
    /// `waiting`, `running`, `soaking` or `done`.
    pub state: String,
    /// When it began.
    pub begun_at: Option<Timestamp>,
    /// When the last of its runs ended.
    pub ended_at: Option<Timestamp>,
    /// Until when it is watched.
    pub soaks_until: Option<Timestamp>,
    /// Whether that time is over.
    pub has_soaked: bool,
    /// How many runs are still to be begun, or to be taken over.
    pub pending: i64,
    /// How many are at work, by daemons that live or died a moment ago.
    pub running: i64,
    /// How many came through.
    pub done: i64,
    /// How many did not.
    pub failed: i64,
    /// How many could not be begun.
    pub skipped: i64,
    /// How many failed in a way in which all others would.
    pub fatal: i64,
}

impl Wave {
    /// Whether it takes back what others did.
    pub fn goes_back(&self) -> bool {
        matches!(self.kind.as_str(), "back" | "shared back")
    }
}

/// The waves of a rollout, in order, each with how its runs are.
pub async fn list(connection: &mut Connection, id: i64) -> Result<Vec<Wave>, StoreError> {
    sqlx::query_as(
        "select w.number, w.kind, w.targets, w.budget, w.forgiven, w.needs_approval, w.approved_by, w.state, w.begun_at,
                w.ended_at, w.soaks_until, coalesce(w.soaks_until <= clock_timestamp(), false) as has_soaked,
                coalesce(r.pending, 0) as pending, coalesce(r.running, 0) as running, coalesce(r.done, 0) as done,
                coalesce(r.failed, 0) as failed, coalesce(r.skipped, 0) as skipped, coalesce(r.fatal, 0) as fatal
           from tenantry.waves w
           left join (
               select wave, count(*) filter (where state = 'pending' and not is_at_work) as pending,
                      count(*) filter (where is_at_work) as running, count(*) filter (where state = 'done') as done,
                      count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'skipped') as skipped,
                      count(*) filter (where state = 'failed' and fault in ('author', 'escaped', 'foreign')) as fatal
                 from tenantry.runs r
                -- What a dead daemon had is settled in this time, unless its shard is away or its session still at work: nobody
                -- waits for that. Whoever begins these runs again, or takes them back, finds out.
                cross join lateral (select exists (select from tenantry.daemons d
                                                    where d.id = r.daemon and d.expires_at > clock_timestamp() - interval '5 s')
                                   ) as d (is_at_work)
                where rollout = $1 group by wave
           ) r on r.wave = w.number
          where w.rollout = $1 order by w.number",
    )
    .bind(id)
    .fetch_all(connection)
    .answered(StoreError::query("read the waves of a rollout"))
    .await
}

/// How a wave moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its runs may be begun.
    Begin,
    /// All of them have ended: it is watched for so long.
    Soak(Duration),
    /// The next one may begin.
    End,
}

/// Moves a wave on. False when it is not where that was expected, or its rollout is conducted by another daemon now.
pub async fn step(
    connection: &mut Connection,
    id: i64,
    daemon: i64,
    wave: i32,
    step: Step,
    who: &str,
) -> Result<bool, StoreError> {
    let (from, to, soak): (&[&str], _, _) = match step {
        Step::Begin => (&["waiting"], "running", None),
        Step::Soak(soak) => (&["running"], "soaking", Some(interval(soak))),
        Step::End => (&["running", "soaking"], "done", None),
    };
    let moved = sqlx::query(
        "with moved as (
             update tenantry.waves w
                set state = $5, begun_at = coalesce(begun_at, clock_timestamp()),
                    ended_at = case when $5 <> 'running' then coalesce(ended_at, clock_timestamp()) end,
                    soaks_until = coalesce(soaks_until, clock_timestamp() + $6)
              where rollout = $1 and number = $3 and state = any($4)
                and exists (select from tenantry.rollouts r join tenantry.daemons d on d.id = r.daemon
                             where r.id = $1 and d.id = $2 and d.expires_at > clock_timestamp() and r.state = 'running')
             returning number
         )
         insert into tenantry.events (who, action, rollout, wave) select $7, $8, $1, number from moved",
    )
    .bind(id)
    .bind(daemon)
    .bind(wave)
    .bind(from)
    .bind(to)
    .bind(soak)
    .bind(who)
    .bind(match step {
        Step::Begin => "begin wave",
        Step::Soak(_) => "watch wave",
        Step::End => "end wave",
    })
    .execute(connection)
    .answered(StoreError::query("move a wave on"))
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Says that a wave may begin. False where it needs no word, or has it.
pub async fn approve(
    connection: &mut Connection,
    id: i64,
    wave: i32,
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let approved = sqlx::query(
        "with approved as (
             update tenantry.waves set approved_by = $3, approved_at = clock_timestamp()
              where rollout = $1 and number = $2 and needs_approval and approved_at is null and state = 'waiting'
             returning number
         )
         insert into tenantry.events (who, action, rollout, wave, why) select $3, $4, $1, number, $5 from approved",
    )
    .bind(id)
    .bind(wave)
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .execute(connection)
    .answered(StoreError::query("approve a wave"))
    .await?;
    Ok(approved.rows_affected() == 1)
}

/// The health gate behind a wave is shut. Gives whether it has been for longer than `patience`.
pub async fn shut(
    connection: &mut Connection,
    id: i64,
    wave: i32,
    patience: Duration,
) -> Result<bool, StoreError> {
    let failed = StoreError::query("write that the gate is shut");
    let is_over: Option<bool> = sqlx::query_scalar(
        "select clock_timestamp() > shut_since + $3 from tenantry.waves where rollout = $1 and number = $2",
    )
    .bind(id)
    .bind(wave)
    .bind(interval(patience))
    .fetch_one(&mut *connection)
    .answered(&failed)
    .await?;
    if let Some(is_over) = is_over {
        return Ok(is_over);
    }
    sqlx::query(
        "update tenantry.waves set shut_since = clock_timestamp() where rollout = $1 and number = $2 and shut_since is null",
    )
    .bind(id)
    .bind(wave)
    .execute(connection)
    .answered(&failed)
    .await?;
    Ok(false)
}
