//! `tenantry.events`: what people and daemons did. Written together with what was done, by whoever does it; never changed.

use jiff_sqlx::Timestamp;
use sqlx::FromRow;

use super::{StoreError, rollouts::Told};
use crate::postgres::{Answered, Connection};

/// One thing that was done.
#[derive(Debug, Clone, FromRow)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// By whom: a person, or a daemon.
    pub who: String,
    /// What.
    pub action: String,
    /// With which wave.
    pub wave: Option<i32>,
    /// Why.
    pub why: Option<String>,
}

/// Tells what somebody does with a rollout that changes nothing of it.
pub async fn tell(
    connection: &mut Connection,
    rollout: i64,
    told: &Told<'_>,
) -> Result<(), StoreError> {
    sqlx::query("insert into tenantry.events (who, action, rollout, why) values ($1, $2, $3, $4)")
        .bind(told.who)
        .bind(told.action)
        .bind(rollout)
        .bind(told.why)
        .execute(connection)
        .answered(StoreError::query("tell what is done with a rollout"))
        .await?;
    Ok(())
}

/// The last things that were done with a rollout, the first of them first.
pub async fn of_rollout(
    connection: &mut Connection,
    rollout: i64,
    most: i64,
) -> Result<Vec<Event>, StoreError> {
    sqlx::query_as(
        "select at, who, action, wave, why
           from (select id, at, who, action, wave, why from tenantry.events where rollout = $1 order by id desc limit $2) e
          order by id",
    )
    .bind(rollout)
    .bind(most)
    .fetch_all(connection)
    .answered(StoreError::query("read what was done with a rollout"))
    .await
}
