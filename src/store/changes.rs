//! What a rollout has changed, as `tenantry.runs` tells: what there is to take back.

use sqlx::FromRow;

use super::StoreError;
use crate::postgres::{Answered, Connection};

/// What a rollout has done to a schema since somebody else was at it.
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
    /// The hash of what was applied then; none where a tenantry of before has not noted it.
    pub to_digest: Option<Vec<u8>>,
    /// How many migrations were applied before, and their hash.
    pub from_applied: i32,
    /// The hash of what was applied before.
    pub from_digest: Vec<u8>,
    /// How many are applied since.
    pub to_applied: i32,
}

/// What a rollout has changed: those schemas first that were changed last.
pub async fn changed(
    connection: &mut Connection,
    rollout: i64,
) -> Result<Vec<Changed>, StoreError> {
    sqlx::query_as(
        "with moves as (
             select w.kind, r.*,
                    -- Where a wave did not find a schema as the one before had left it, somebody else was at it.
                    case when lag(r.to_digest) over forth is not null then lag(r.to_digest) over forth <> r.from_digest
                         else coalesce(lag(r.to_applied) over forth <> r.from_applied, false)
                    end as is_apart
               from tenantry.runs r join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
              where r.rollout = $1 and w.kind in ('shared', 'canary', 'wave')
                and (r.to_digest <> r.from_digest or r.to_applied <> r.from_applied)
             window forth as (partition by r.shard, r.schema_name order by r.wave)
         ), parts as (
             select m.*, count(*) filter (where is_apart) over (partition by m.shard, m.schema_name order by m.wave) as part
               from moves m
         )
         select kind, shard, schema_name, to_version, to_applied, to_digest, from_applied, from_digest
           from (select p.kind, p.shard, p.schema_name, p.to_version, p.to_applied, p.to_digest, p.ended_at, p.wave, p.position,
                        -- A schema may have been moved in several waves: back to where the first found it.
                        first_value(p.from_applied) over forth as from_applied,
                        first_value(p.from_digest) over forth as from_digest,
                        row_number() over (partition by p.shard, p.schema_name order by p.wave desc) as newest
                   from parts p
                 window forth as (partition by p.shard, p.schema_name, p.part order by p.wave)) p
          where newest = 1
          order by ended_at desc nulls first, wave desc, position desc",
    )
    .bind(rollout)
    .fetch_all(connection)
    .answered(StoreError::query("read what a rollout has changed"))
    .await
}

/// The schemas at which a rollout was and has finished nothing that it knows of: what it has left half done there, nobody has
/// told it.
pub async fn tried(connection: &mut Connection, rollout: i64) -> Result<Vec<Changed>, StoreError> {
    sqlx::query_as(
        "select distinct on (r.shard, r.schema_name)
                w.kind, r.shard, r.schema_name, r.from_version as to_version, r.from_applied as to_applied,
                r.from_digest as to_digest, r.from_applied, r.from_digest
           from tenantry.runs r join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
          where r.rollout = $1 and w.kind in ('shared', 'canary', 'wave')
            and r.attempts > 0 and r.state in ('failed', 'pending') and r.to_applied is null
            -- Where it stood is noted before anything is begun there.
            and r.from_applied is not null
            and not exists (select from tenantry.runs o
                             where o.rollout = $1 and o.shard = r.shard and o.schema_name = r.schema_name
                               and o.to_applied is not null)
          order by r.shard, r.schema_name, r.wave",
    )
    .bind(rollout)
    .fetch_all(connection)
    .answered(StoreError::query("read what a rollout has tried"))
    .await
}
