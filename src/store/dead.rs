//! Runs that a daemon had whose time is over, or that lost them: they are at work as far as `tenantry.runs` tells, and nobody
//! sees to them.

use sqlx::FromRow;

use super::{StoreError, runs::Of};
use crate::postgres::{Answered, Connection};

/// Such a run.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Dead {
    /// Its place in the wave.
    pub position: i32,
    /// The database.
    pub shard: String,
    /// The schema.
    pub schema_name: String,
    /// Who had it.
    pub daemon: i64,
    /// How many migrations there were before; none where that was not known, so that nothing was begun.
    pub from_applied: Option<i32>,
    /// The hash of what the last try that was told of has left; else of what there was before.
    pub expected: Option<Vec<u8>>,
}

/// Lets go of what a daemon has claimed of a wave and does not have at hand: the answer to its claim was lost.
pub async fn forget(connection: &mut Connection, of: Of, daemon: i64) -> Result<(), StoreError> {
    sqlx::query("update tenantry.runs set daemon = null where rollout = $1 and wave = $2 and state = 'pending' and daemon = $3")
        .bind(of.rollout)
        .bind(of.wave)
        .bind(daemon)
        .execute(connection)
        .answered(StoreError::query("let go of runs"))
        .await?;
    Ok(())
}

/// Those of one wave.
pub async fn list(connection: &mut Connection, of: Of) -> Result<Vec<Dead>, StoreError> {
    sqlx::query_as(
        "select r.position, r.shard, r.schema_name, r.daemon, r.from_applied, coalesce(r.to_digest, r.from_digest) as expected
           from tenantry.runs r
          where r.rollout = $1 and r.wave = $2 and r.state = 'pending' and r.daemon is not null
            and not exists (select from tenantry.daemons d where d.id = r.daemon and d.expires_at > clock_timestamp())",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .fetch_all(connection)
    .answered(StoreError::query("read what dead daemons had"))
    .await
}
