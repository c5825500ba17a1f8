//! A rollout's waves and runs, written at once: when it is planned, and when it turns round.

use super::{StoreError, rollouts::Told, runs::Of};
use crate::{
    history::{Digest, Head},
    migration::Version,
    postgres::{Answered, Connection},
    tenant::Target,
};

/// A wave that is planned.
#[derive(Debug, Clone)]
pub struct Planned {
    /// `shared`, `canary`, `wave`, `back` or `shared back`.
    pub kind: &'static str,
    /// How many of its runs may fail.
    pub budget: usize,
    /// Whether somebody has to say that it may begin.
    pub needs_approval: bool,
    /// The runs, in the order in which they are begun.
    pub runs: Vec<Start>,
}

/// Where a schema stands that is to be moved.
#[derive(Debug, Clone)]
pub struct Start {
    /// The schema.
    pub target: Target,
    /// The version it stands at.
    pub version: Option<String>,
    /// The hash of what is applied in it, and how many migrations are; none where that is found out when it is begun.
    pub applied: Option<(Digest, usize)>,
    /// Why it cannot be moved, where it cannot.
    pub blocked: Option<String>,
    /// On the way back: how many migrations are to be left, and the hash of these.
    pub keep: Option<(usize, Digest)>,
}

/// What a rollout is about, once it is planned.
#[derive(Debug, Clone, Copy)]
pub struct Frozen {
    /// How many tenants were chosen.
    pub targets: usize,
    /// The hash of who they are.
    pub hash: [u8; 32],
    /// How many are at the goal already.
    pub current: usize,
    /// How many may fail.
    pub budget: usize,
    /// How far it goes for now, where the next migration waits for something.
    pub reach: Option<Version>,
}

/// Freezes what a rollout is about, and its waves. False when it is not waiting to be planned by this daemon.
pub async fn freeze(
    connection: &mut Connection,
    rollout: i64,
    daemon: i64,
    frozen: &Frozen,
    waves: &[Planned],
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let failed = StoreError::query("plan a rollout");
    let mut transaction = sqlx::Connection::begin(&mut **connection)
        .answered(&failed)
        .await?;
    let begun = sqlx::query(
        "with begun as (
             update tenantry.rollouts r
                set state = 'running', begun_at = clock_timestamp(), targets = $3, targets_hash = $4, current = $5, budget = $6,
                    reach = $10, why = null
              where id = $1 and daemon = $2 and begun_at is null and state in ('waiting', 'halted', 'running')
                and exists (select from tenantry.daemons d where d.id = $2 and d.expires_at > clock_timestamp())
             returning id
         )
         insert into tenantry.events (who, action, rollout, why) select $7, $8, id, $9 from begun",
    )
    .bind(rollout)
    .bind(daemon)
    .bind(number(frozen.targets))
    .bind(&frozen.hash[..])
    .bind(number(frozen.current))
    .bind(number(frozen.budget))
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .bind(frozen.reach.map(|version| version.to_string()))
    .persistent(false)
    .execute(&mut *transaction)
    .answered(&failed)
    .await?;
    if begun.rows_affected() == 0 {
        return Ok(false);
    }
    put_all(&mut transaction, rollout, 0, waves).await?;
    transaction.commit().answered(&failed).await?;
    Ok(true)
}

/// Adds waves behind those that a rollout has, since what it waited for has come. False when it does not run forth any more,
/// or is conducted by another daemon.
pub async fn extend(
    connection: &mut Connection,
    rollout: i64,
    daemon: i64,
    frozen: &Frozen,
    waves: &[Planned],
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let failed = StoreError::query("plan the rest of a rollout");
    let mut transaction = sqlx::Connection::begin(&mut **connection)
        .answered(&failed)
        .await?;
    let next: Option<i32> = sqlx::query_scalar(
        "with extended as (
             update tenantry.rollouts r set reach = $3, budget = budget + $4, why = null
              where id = $1 and daemon = $2 and state = 'running' and not back and reach is not null
                and exists (select from tenantry.daemons d where d.id = $2 and d.expires_at > clock_timestamp())
             returning id
         ), told as (
             insert into tenantry.events (who, action, rollout, why) select $5, $6, id, $7 from extended
         )
         select coalesce((select max(number) + 1 from tenantry.waves where rollout = $1), 0) from extended",
    )
    .bind(rollout)
    .bind(daemon)
    .bind(frozen.reach.map(|version| version.to_string()))
    .bind(number(frozen.budget))
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .persistent(false)
    .fetch_optional(&mut *transaction)
    .answered(&failed)
    .await?;
    let Some(next) = next else { return Ok(false) };
    put_all(&mut transaction, rollout, next, waves).await?;
    transaction.commit().answered(&failed).await?;
    Ok(true)
}

/// Adds the waves in which a rollout is taken back, behind those that it has, and turns it round. False when it is not in
/// this state any more, or is conducted by another daemon.
pub async fn turn_round(
    connection: &mut Connection,
    rollout: i64,
    daemon: i64,
    from: &str,
    waves: &[Planned],
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let failed = StoreError::query("turn a rollout round");
    let mut transaction = sqlx::Connection::begin(&mut **connection)
        .answered(&failed)
        .await?;
    let next: Option<i32> = sqlx::query_scalar(
        "with turned as (
             update tenantry.rollouts r
                set state = 'running', wanted = 'back', back = true, ended_at = null, why = null, open_until = null,
                    forgiven = (select count(*) from tenantry.runs f where f.rollout = $1 and f.state = 'failed')::integer
              where id = $1 and daemon = $2 and state = $3 and not back
                and exists (select from tenantry.daemons d where d.id = $2 and d.expires_at > clock_timestamp())
             returning id
         ), closed as (
             -- What was not begun of these never will be.
             update tenantry.waves w
                set state = 'done', budget = w.targets, begun_at = coalesce(begun_at, clock_timestamp()),
                    ended_at = coalesce(ended_at, clock_timestamp())
              where rollout = $1 and exists (select from turned)
         ), told as (
             insert into tenantry.events (who, action, rollout, why) select $4, $5, id, $6 from turned
         )
         select coalesce((select max(number) + 1 from tenantry.waves where rollout = $1), 0) from turned",
    )
    .bind(rollout)
    .bind(daemon)
    .bind(from)
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .persistent(false)
    .fetch_optional(&mut *transaction)
    .answered(&failed)
    .await?;
    let Some(next) = next else { return Ok(false) };
    put_all(&mut transaction, rollout, next, waves).await?;
    // Where a dead daemon's session may still be at work, whoever takes the schema back takes it over first.
    sqlx::query(
        "update tenantry.runs r set daemon = f.daemon from tenantry.runs f
          where f.rollout = $1 and f.wave < $2 and f.state = 'pending' and f.daemon is not null
            and r.rollout = $1 and r.wave >= $2 and r.shard = f.shard and r.schema_name = f.schema_name",
    )
    .bind(rollout)
    .bind(next)
    .persistent(false)
    .execute(&mut *transaction)
    .answered(&failed)
    .await?;
    transaction.commit().answered(&failed).await?;
    Ok(true)
}

/// Writes waves, numbered from `first` on.
async fn put_all(
    transaction: &mut sqlx::PgConnection,
    rollout: i64,
    first: i32,
    waves: &[Planned],
) -> Result<(), StoreError> {
    for (wave, planned) in (first..).zip(waves) {
        put(transaction, Of { rollout, wave }, planned).await?;
    }
    Ok(())
}

async fn put(
    transaction: &mut sqlx::PgConnection,
    of: Of,
    wave: &Planned,
) -> Result<(), StoreError> {
    let failed = StoreError::query("write a wave");
    sqlx::query(
        "insert into tenantry.waves (rollout, number, kind, targets, budget, needs_approval) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .bind(wave.kind)
    .bind(number(wave.runs.len()))
    .bind(number(wave.budget))
    .bind(wave.needs_approval)
    .persistent(false)
    .execute(&mut *transaction)
    .answered(&failed)
    .await?;
    let runs = &wave.runs;
    let keeps = || runs.iter().map(|run| run.keep);
    let applied = || runs.iter().map(|run| run.applied);
    sqlx::query(
        "insert into tenantry.runs (rollout, wave, position, shard, schema_name, from_version, from_digest, from_applied, error,
                                    keep_applied, keep_digest, state, ended_at)
         select $1, $2, n.position, n.shard, n.schema_name, n.version, n.digest, n.applied, n.blocked, n.keep, n.kept,
                case when n.blocked is null then 'pending' else 'skipped' end,
                case when n.blocked is not null then clock_timestamp() end
           from unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::integer[], $8::text[], $9::integer[],
                       $10::bytea[])
                with ordinality as n (shard, schema_name, version, digest, applied, blocked, keep, kept, position)",
    )
    .bind(of.rollout)
    .bind(of.wave)
    .bind(runs.iter().map(|run| run.target.shard.as_str()).collect::<Vec<_>>())
    .bind(runs.iter().map(|run| run.target.schema.as_str()).collect::<Vec<_>>())
    .bind(runs.iter().map(|run| run.version.clone()).collect::<Vec<_>>())
    .bind(applied().map(|applied| applied.map(|(digest, _)| digest.0.to_vec())).collect::<Vec<_>>())
    .bind(applied().map(|applied| applied.map(|(_, applied)| number(applied))).collect::<Vec<_>>())
    .bind(runs.iter().map(|run| run.blocked.clone()).collect::<Vec<_>>())
    .bind(keeps().map(|keep| keep.map(|(applied, _)| number(applied))).collect::<Vec<_>>())
    .bind(keeps().map(|keep| keep.map(|(_, digest)| digest.0.to_vec())).collect::<Vec<_>>())
    .persistent(false)
    .execute(&mut *transaction)
    .answered(&failed)
    .await?;
    Ok(())
}

impl Start {
    /// Where the schema of a head stands, so many migrations being applied in it.
    pub fn of(target: &Target, head: &Head, applied: usize) -> Self {
        Self {
            target: target.clone(),
            version: head.version.map(|version| version.to_string()),
            applied: Some((head.digest, applied)),
            blocked: None,
            keep: None,
        }
    }

    /// A schema of which is not known where it stands; `blocked` says why it cannot be moved, where it cannot.
    pub fn unknown(target: &Target, blocked: Option<String>) -> Self {
        Self {
            target: target.clone(),
            version: None,
            applied: None,
            blocked,
            keep: None,
        }
    }
}

/// As PostgreSQL counts.
pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
