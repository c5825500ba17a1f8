//! Where schemas stood before a rollout: `tenantry.runs`, which has it of all that a rollout is to move.

use sqlx::FromRow;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// Where schemas stood before a rollout.
#[derive(Debug, Clone, FromRow)]
pub struct Before {
    /// Whether these are shared schemas.
    pub is_shared: bool,
    /// The version; none where nothing was applied.
    pub version: Option<String>,
    /// How many schemas.
    pub schemas: i64,
}

/// Where those schemas stood that a rollout is to move; where the most did, comes last of the shared ones and of the others.
pub async fn before(connection: &mut Connection, rollout: i64) -> Result<Vec<Before>, StoreError> {
    sqlx::query_as(
        "select is_shared, version, count(*) as schemas
           from (select distinct on (r.shard, r.schema_name) w.kind = 'shared' as is_shared, r.from_version as version
                   from tenantry.runs r join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
                  where r.rollout = $1 and w.kind in ('shared', 'canary', 'wave') and r.state <> 'skipped'
                    and r.from_applied is not null
                  order by r.shard, r.schema_name, r.wave) r
          group by is_shared, version
          order by is_shared, schemas, version",
    )
    .bind(rollout)
    .fetch_all(connection)
    .answered(StoreError::query("read where schemas stood before a rollout"))
    .await
}
