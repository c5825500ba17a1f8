//! What has become of a rollout's tenants, each counted once however many waves it was in.

use sqlx::FromRow;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// How many tenants a rollout is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Tally {
    /// How many are in its waves, each counted once.
    pub planned: i64,
    /// How many stand where it has left them: moved, and not taken back.
    pub moved: i64,
    /// How many failed, on the way on which it is.
    pub failed: i64,
    /// How many were left alone on that way.
    pub skipped: i64,
    /// How many it has taken back.
    pub taken_back: i64,
}

/// Counts the tenants of a rollout, each once however many waves it was in.
pub async fn count(connection: &mut Connection, rollout: i64) -> Result<Tally, StoreError> {
    sqlx::query_as(
        "with tenants as (
             select bool_or(kind <> 'back') as planned,
                    bool_or(kind <> 'back' and to_applied is not null and to_applied <> from_applied) as moved,
                    bool_or(kind = 'back' and r.state = 'done' and to_applied is not null) as taken_back,
                    bool_or(r.state = 'failed' and (kind = 'back') = o.back) as failed,
                    bool_or(r.state = 'skipped' and (kind = 'back') = o.back) as skipped
               from tenantry.rollouts o
               join (select r.rollout, w.kind, r.shard, r.schema_name, r.state, r.from_applied, r.to_applied
                       from tenantry.runs r join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
                      where r.rollout = $1 and w.kind in ('canary', 'wave', 'back')) r on r.rollout = o.id
              group by r.shard, r.schema_name
         )
         select count(*) filter (where planned) as planned, count(*) filter (where moved and not taken_back) as moved,
                count(*) filter (where failed) as failed, count(*) filter (where skipped) as skipped,
                count(*) filter (where taken_back) as taken_back
           from tenants",
    )
    .bind(rollout)
    .fetch_one(connection)
    .answered(StoreError::query("count what a rollout has moved"))
    .await
}
