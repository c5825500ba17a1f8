//! `tenantry.rollouts` and `tenantry.waves`: the fleet on its way to a goal.
//!
//! Every change names the state that it expects, and is written together with the event that tells of it. What operators
//! want is `wanted`; everything else is written by the daemon that conducts.

use jiff_sqlx::Timestamp;
use serde_json::Value;
use sqlx::{FromRow, types::Json};

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// A rollout, as it was asked for.
#[derive(Debug, Clone)]
pub struct New<'a> {
    /// Where to: a version; none for all that the files have.
    pub goal: Option<String>,
    /// Which tenants; none for all.
    pub selector: Option<&'a str>,
    /// How, as JSON.
    pub strategy: Value,
    /// The hash of the files up to the goal.
    pub files: [u8; 32],
    /// Who asked for it.
    pub who: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// What the event says that was done, in a few words.
    pub action: &'a str,
}

/// One row of `tenantry.rollouts`.
#[derive(Debug, Clone, FromRow)]
pub struct Row {
    /// Its number.
    pub id: i64,
    /// Where to; none for all that the files have.
    pub goal: Option<String>,
    /// How far for now, where the next migration waits for something; none for all the way.
    pub reach: Option<String>,
    /// Which tenants; none for all.
    pub selector: Option<String>,
    /// How, as JSON.
    pub strategy: Json<Value>,
    /// The hash of the files up to the goal.
    pub files: Vec<u8>,
    /// What operators want: `run`, `pause`, `cancel` or `back`.
    pub wanted: String,
    /// Where it is in its life.
    pub state: String,
    /// Whether it takes back what it did.
    pub back: bool,
    /// Why it does not get on.
    pub why: Option<String>,
    /// How many tenants it is about; none before it is planned.
    pub targets: Option<i32>,
    /// How many of them were at the goal already.
    pub current: Option<i32>,
    /// How many may fail.
    pub budget: i32,
    /// How many of those that failed are forgiven.
    pub forgiven: i32,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was planned.
    pub begun_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Until when runs may be claimed; none for ever.
    pub open_until: Option<Timestamp>,
    /// Whether runs may be claimed now.
    pub is_open: bool,
    /// What the server's clock says.
    pub now: Timestamp,
}

/// That a row of `tenantry.rollouts` is under way: not over, or over and wanted back. As the index one_active_rollout has it.
macro_rules! under_way {
    () => {
        "(state not in ('complete', 'cancelled') or (wanted = 'back' and not back))"
    };
}
pub(super) use under_way;

/// Asks for a rollout. None while another one is under way.
pub async fn start(connection: &mut Connection, new: &New<'_>) -> Result<Option<i64>, StoreError> {
    let started = sqlx::query_scalar(concat!(
        "with started as (
             -- What is refused takes no number.
             insert into tenantry.rollouts (goal, selector, strategy, files, who, reason)
             select $1::text, $2::text, $3::jsonb, $4::bytea, $5::text, $6::text
              where not exists (select from tenantry.rollouts where ",
        under_way!(),
        ")
             on conflict do nothing
             returning id
         ), told as (
             insert into tenantry.events (who, action, rollout, why) select $5, $7, id, $6 from started
         )
         select id from started",
    ))
    .bind(&new.goal)
    .bind(new.selector)
    .bind(Json(&new.strategy))
    .bind(&new.files[..])
    .bind(new.who)
    .bind(new.reason)
    .bind(new.action);
    started
        .fetch_optional(connection)
        .answered(StoreError::query("start a rollout"))
        .await
}

/// What [`Row`] is read from; which rows, stands behind it.
macro_rules! rows {
    () => {
        "select id, goal, reach, selector, strategy, files, wanted, state, back, why, targets, current, budget, forgiven, who, reason,
                created_at, begun_at, ended_at, open_until, coalesce(open_until > clock_timestamp(), true) as is_open,
                clock_timestamp() as now
           from tenantry.rollouts"
    };
}

/// One rollout.
pub async fn get(connection: &mut Connection, id: i64) -> Result<Option<Row>, StoreError> {
    sqlx::query_as(concat!(rows!(), " where id = $1"))
        .bind(id)
        .fetch_optional(connection)
        .answered(StoreError::query("read a rollout"))
        .await
}

/// The last ones, the latest first.
pub async fn list(connection: &mut Connection, most: i64) -> Result<Vec<Row>, StoreError> {
    sqlx::query_as(concat!(rows!(), " order by id desc limit $1"))
        .bind(most)
        .fetch_all(connection)
        .answered(StoreError::query("read the rollouts"))
        .await
}

/// The one that is not over, or that is over and wanted back: an index sees to it that there is one at most.
pub async fn active(connection: &mut Connection) -> Result<Option<Row>, StoreError> {
    sqlx::query_as(concat!(rows!(), " where ", under_way!()))
        .fetch_optional(connection)
        .answered(StoreError::query("read the rollout that is under way"))
        .await
}

/// Says what is wanted of a rollout. False where it is not in one of these states, or where that was wanted before; also
/// where it is over and to be taken back, while another one is under way.
pub async fn want(
    connection: &mut Connection,
    id: i64,
    states: &[&str],
    wanted: &str,
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let wanted = sqlx::query(concat!(
        "with others as (
             select id from tenantry.rollouts where id <> $1 and ",
        under_way!(),
        "
         ), changed as (
             update tenantry.rollouts set wanted = $3
              where id = $1 and state = any($2) and wanted <> $3 and not ($3 = 'back' and exists (select from others))
             returning id
         )
         insert into tenantry.events (who, action, rollout, why) select $4, $5, id, $6 from changed",
    ))
    .bind(id)
    .bind(states)
    .bind(wanted)
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .execute(connection)
    .answered(StoreError::query("say what is wanted of a rollout"))
    .await?;
    Ok(wanted.rows_affected() == 1)
}

/// Takes the conduct of a rollout, or keeps it. False while another daemon that lives has it.
pub async fn conduct(
    connection: &mut Connection,
    id: i64,
    daemon: i64,
) -> Result<bool, StoreError> {
    // Whoever has it writes nothing: each write wakes all daemons.
    let has: Option<bool> = sqlx::query_scalar(
        "select coalesce(daemon = $2, false) from tenantry.rollouts where id = $1",
    )
    .bind(id)
    .bind(daemon)
    .fetch_optional(&mut *connection)
    .answered(StoreError::query("see who conducts a rollout"))
    .await?;
    if has == Some(true) {
        return Ok(true);
    }
    let taken = sqlx::query(
        "update tenantry.rollouts r set daemon = $2
          where id = $1
            and not exists (select from tenantry.daemons d where d.id = r.daemon and d.expires_at > clock_timestamp())
            and exists (select from tenantry.daemons d where d.id = $2 and d.expires_at > clock_timestamp())",
    )
    .bind(id)
    .bind(daemon)
    .execute(connection)
    .answered(StoreError::query("take the conduct of a rollout"))
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Gives up the conduct of a rollout, where this daemon has it.
pub async fn hand_on(connection: &mut Connection, id: i64, daemon: i64) -> Result<(), StoreError> {
    sqlx::query("update tenantry.rollouts set daemon = null where id = $1 and daemon = $2")
        .bind(id)
        .bind(daemon)
        .execute(connection)
        .answered(StoreError::query("give up the conduct of a rollout"))
        .await?;
    Ok(())
}

/// Who did what, and why.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The person or the daemon.
    pub who: &'a str,
    /// What was done, in a word.
    pub action: &'a str,
    /// Why.
    pub why: Option<&'a str>,
}

/// A rollout moves on in its life.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    /// The rollout.
    pub id: i64,
    /// Who conducts it.
    pub daemon: i64,
    /// The state that it is in.
    pub from: &'a str,
    /// The state that it is to be in.
    pub to: &'a str,
    /// Whether nobody wants it to run any more.
    pub holds: bool,
    /// Whether those that failed until now are forgiven.
    pub forgives: bool,
}

/// Moves a rollout on. False when it is not in the state that was expected, or is conducted by another daemon now.
pub async fn advance(
    connection: &mut Connection,
    change: &Move<'_>,
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let moved = sqlx::query(
        "with failed as (
             select wave, count(*)::integer as failed from tenantry.runs where rollout = $1 and state = 'failed' group by wave
         ), moved as (
             update tenantry.rollouts r
                set state = $4,
                    wanted = case when $5 then 'pause' else r.wanted end,
                    forgiven = case when $6 then coalesce((select sum(failed) from failed), 0)::integer else r.forgiven end,
                    why = $9,
                    ended_at = case when $4 in ('complete', 'cancelled') then clock_timestamp() end
              where r.id = $1 and r.daemon = $2 and r.state = $3
                and exists (select from tenantry.daemons d where d.id = $2 and d.expires_at > clock_timestamp())
             returning r.id
         ), forgiven as (
             update tenantry.waves w
                set forgiven = coalesce((select f.failed from failed f where f.wave = w.number), w.forgiven), shut_since = null
              where $6 and w.rollout in (select id from moved)
         )
         insert into tenantry.events (who, action, rollout, why) select $7, $8, id, $9 from moved",
    )
    .bind(change.id)
    .bind(change.daemon)
    .bind(change.from)
    .bind(change.to)
    .bind(change.holds)
    .bind(change.forgives)
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .execute(connection)
    .answered(StoreError::query("move a rollout on"))
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Says until when runs of a rollout may be claimed. False when that was said before, or it is conducted by another daemon.
pub async fn open(
    connection: &mut Connection,
    id: i64,
    daemon: i64,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let opened = sqlx::query(
        "update tenantry.rollouts r set open_until = $3
          where id = $1 and daemon = $2 and open_until is distinct from $3
            and exists (select from tenantry.daemons d where d.id = $2 and d.expires_at > clock_timestamp())",
    )
    .bind(id)
    .bind(daemon)
    .bind(until)
    .execute(connection)
    .answered(StoreError::query("open a window"))
    .await?;
    Ok(opened.rows_affected() == 1)
}

/// Says why a rollout waits; none when it does not any more. Nothing is written where that was said before.
pub async fn explain(
    connection: &mut Connection,
    id: i64,
    why: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query("update tenantry.rollouts set why = $2 where id = $1 and why is distinct from $2")
        .bind(id)
        .bind(why)
        .execute(connection)
        .answered(StoreError::query("say why a rollout waits"))
        .await?;
    Ok(())
}
