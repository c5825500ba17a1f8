//! `tenantry.hooks`: which hooks of a rollout came through, so that nobody runs them again.

use std::collections::BTreeSet;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// The names of those that came through.
pub async fn done(
    connection: &mut Connection,
    rollout: i64,
) -> Result<BTreeSet<String>, StoreError> {
    let names: Vec<String> =
        sqlx::query_scalar("select name from tenantry.hooks where rollout = $1")
            .bind(rollout)
            .fetch_all(connection)
            .answered(StoreError::query("read which hooks came through"))
            .await?;
    Ok(names.into_iter().collect())
}

/// Writes that one came through, which is said once.
pub async fn record(
    connection: &mut Connection,
    rollout: i64,
    name: &str,
    wave: Option<i32>,
    who: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "with recorded as (
             insert into tenantry.hooks (rollout, name) values ($1, $2) on conflict do nothing returning name
         )
         insert into tenantry.events (who, action, rollout, wave, why) select $4, 'run hook', $1, $3, name from recorded",
    )
    .bind(rollout)
    .bind(name)
    .bind(wave)
    .bind(who)
    .execute(connection)
    .answered(StoreError::query("write that a hook came through"))
    .await?;
    Ok(())
}
