//! Where schemas stood before a rollout: `tenantry.runs`, which has it of all that a rollout is to move.

use sqlx::FromRow;

use super::{StoreError, freeze::number, runs::Of};
use crate::{
    history::Digest,
    postgres::{Answered, Connection},
};

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

/// Where a schema stands whose run was planned without knowing.
#[derive(Debug, Clone)]
pub struct Found {
    /// The run's place in the wave.
    pub position: i32,
    /// The version.
    pub version: Option<String>,
    /// The hash of what is applied.
    pub digest: Digest,
    /// How many migrations are.
    pub applied: usize,
}

/// Writes where the schemas of runs stand that this daemon has claimed, before they are moved: that is where they are taken
/// back to. What is known already stays.
pub async fn found(
    connection: &mut Connection,
    of: Of,
    daemon: i64,
    found: &[Found],
) -> Result<(), StoreError> {
    sqlx::query(
        "update tenantry.runs r set from_version = f.version, from_digest = f.digest, from_applied = f.applied
           from unnest($4::integer[], $5::text[], $6::bytea[], $7::integer[]) as f (position, version, digest, applied)
          where r.rollout = $1 and r.wave = $2 and r.position = f.position and r.daemon = $3 and r.from_applied is null",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .bind(daemon)
    .bind(found.iter().map(|found| found.position).collect::<Vec<_>>())
    .bind(found.iter().map(|found| found.version.clone()).collect::<Vec<_>>())
    .bind(found.iter().map(|found| found.digest.0.to_vec()).collect::<Vec<_>>())
    .bind(found.iter().map(|found| number(found.applied)).collect::<Vec<_>>())
    .execute(connection)
    .answered(StoreError::query("write where schemas stand"))
    .await?;
    Ok(())
}
