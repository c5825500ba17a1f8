//! `tenantry.sweeps`: work over the whole fleet that one daemon at a time does for all of them.
//!
//! A claim is for a time, so that the work of a daemon that died is somebody else's after it. The clock is the database's.

use std::time::Duration;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// What became of asking for the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Ours(Turn),
    /// It is not due, or somebody else is at it: to be asked for again after this time.
    Later(Duration),
}

/// A claim that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    name: &'static str,
    token: i64,
}

/// Claims the work `name` for the time `lease`, where nobody has it and where `interval` is over since it was last done.
pub async fn claim(
    connection: &mut Connection,
    name: &'static str,
    holder: &str,
    interval: Duration,
    lease: Duration,
) -> Result<Claim, StoreError> {
    let failed = StoreError::query("claim work that one daemon does for all");
    let token: Option<i64> = sqlx::query_scalar(
        "insert into tenantry.sweeps as s (name, token, holder, held_until)
         values ($1, 1, $2, clock_timestamp() + make_interval(secs => $4))
         on conflict (name) do update
            set token = s.token + 1, holder = excluded.holder, held_until = excluded.held_until
          where coalesce(s.held_until <= clock_timestamp(), true)
            and coalesce(s.done_at + make_interval(secs => $3) <= clock_timestamp(), true)
         returning token",
    )
    .bind(name)
    .bind(holder)
    .bind(interval.as_secs_f64())
    .bind(lease.as_secs_f64())
    .fetch_optional(&mut *connection)
    .answered(&failed)
    .await?;
    if let Some(token) = token {
        return Ok(Claim::Ours(Turn { name, token }));
    }
    // None where it has just been given back.
    let rest: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from greatest(held_until, done_at + make_interval(secs => $2)) - clock_timestamp())::float8
           from tenantry.sweeps where name = $1",
    )
    .bind(name)
    .bind(interval.as_secs_f64())
    .fetch_one(connection)
    .answered(&failed)
    .await?;
    let rest = Duration::try_from_secs_f64(rest.unwrap_or_default());
    Ok(Claim::Later(rest.unwrap_or_default()))
}

/// Holds on to a claim for the time `lease` from now. False where it ran out and is somebody else's.
pub async fn renew(
    connection: &mut Connection,
    turn: Turn,
    lease: Duration,
) -> Result<bool, StoreError> {
    let renewed = sqlx::query(
        "update tenantry.sweeps set held_until = clock_timestamp() + make_interval(secs => $3)
          where name = $1 and token = $2 and holder is not null",
    )
    .bind(turn.name)
    .bind(turn.token)
    .bind(lease.as_secs_f64())
    .execute(connection)
    .answered(StoreError::query(
        "hold on to work that one daemon does for all",
    ))
    .await?;
    Ok(renewed.rows_affected() > 0)
}

/// Gives a claim back; with `is_done` the work is next due after its interval, else at once. False where it was somebody else's.
pub async fn give_back(
    connection: &mut Connection,
    turn: Turn,
    is_done: bool,
) -> Result<bool, StoreError> {
    let given = sqlx::query(
        "update tenantry.sweeps
            set holder = null, held_until = null, done_at = case when $3 then clock_timestamp() else done_at end
          where name = $1 and token = $2 and holder is not null",
    )
    .bind(turn.name)
    .bind(turn.token)
    .bind(is_done)
    .execute(connection)
    .answered(StoreError::query("give back work that one daemon does for all"))
    .await?;
    Ok(given.rows_affected() > 0)
}
