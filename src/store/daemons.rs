//! `tenantry.daemons` and `tenantry.slots`: who lives, and how many connections of all of them are at work on a shard.
//!
//! All times are the home database's: the clocks of daemons do not matter.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;

use super::StoreError;
use crate::{
    postgres::{Answered, Connection},
    tenant::ShardName,
};

/// Enters a daemon, which lives for `term` unless it renews. Gives its number, which is higher than that of all before it.
/// Forgets those that are dead for long.
pub async fn join(
    connection: &mut Connection,
    name: &str,
    term: Duration,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "with forgotten as (
             delete from tenantry.daemons where expires_at < clock_timestamp() - interval '1 day'
         )
         insert into tenantry.daemons (name, expires_at) values ($1, clock_timestamp() + $2) returning id",
    )
    .bind(name)
    .bind(interval(term))
    .fetch_one(connection)
    .answered(StoreError::query("enter a daemon"))
    .await
}

/// Goes on living for `term` from now. None when its time was over, and others may have taken what it had; else how many
/// daemons live.
pub async fn renew(
    connection: &mut Connection,
    daemon: i64,
    term: Duration,
) -> Result<Option<usize>, StoreError> {
    let living: Option<i64> = sqlx::query_scalar(
        "with renewed as (
             update tenantry.daemons set expires_at = clock_timestamp() + $2
              where id = $1 and expires_at > clock_timestamp()
             returning id
         )
         select (select count(*) from tenantry.daemons where expires_at > clock_timestamp()) from renewed",
    )
    .bind(daemon)
    .bind(interval(term))
    .fetch_optional(connection)
    .answered(StoreError::query("renew a daemon's time"))
    .await?;
    Ok(living.map(|living| usize::try_from(living).unwrap_or(1)))
}

/// Gives up all that a daemon has.
pub async fn leave(connection: &mut Connection, daemon: i64) -> Result<(), StoreError> {
    sqlx::query("delete from tenantry.daemons where id = $1")
        .bind(daemon)
        .execute(connection)
        .answered(StoreError::query("let a daemon go"))
        .await?;
    Ok(())
}

/// Takes one of the `concurrency` slots of a shard; none when all are taken by daemons that live. Nobody waits until that is on
/// the disk: a server that forgets it has lost the connections of whoever had one.
pub async fn take_slot(
    connection: &mut Connection,
    daemon: i64,
    shard: &ShardName,
    concurrency: usize,
) -> Result<Option<i32>, StoreError> {
    let failed = StoreError::query("take a slot of a shard");
    let concurrency = i32::try_from(concurrency).unwrap_or(i32::MAX);
    sqlx::query(
        "insert into tenantry.slots (shard, number)
         select $1, number from generate_series(1, $2) as number
         on conflict do nothing",
    )
    .bind(shard.as_str())
    .bind(concurrency)
    .execute(&mut *connection)
    .answered(&failed)
    .await?;
    sqlx::query_scalar(
        "with free as materialized (
             select s.ctid as place from tenantry.slots s
              where s.shard = $2 and s.number <= $3
                and pg_catalog.set_config('synchronous_commit', 'off', true) is not null
                and not exists (select from tenantry.daemons d where d.id = s.daemon and d.expires_at > clock_timestamp())
              order by s.number limit 1 for update skip locked
         )
         update tenantry.slots s set daemon = $1 from free f where s.ctid = f.place
         returning s.number",
    )
    .bind(daemon)
    .bind(shard.as_str())
    .bind(concurrency)
    .fetch_optional(connection)
    .answered(&failed)
    .await
}

/// Gives back all connections that a daemon has, of all shards: where one of them could not be given back when it ended.
pub async fn free_slots(connection: &mut Connection, daemon: i64) -> Result<(), StoreError> {
    sqlx::query("update tenantry.slots set daemon = null where daemon = $1")
        .bind(daemon)
        .execute(connection)
        .answered(StoreError::query("give connections back"))
        .await?;
    Ok(())
}

/// Gives a slot back.
pub async fn free_slot(
    connection: &mut Connection,
    daemon: i64,
    shard: &ShardName,
    number: i32,
) -> Result<(), StoreError> {
    sqlx::query(
        "update tenantry.slots set daemon = null where shard = $1 and number = $2 and daemon = $3",
    )
    .bind(shard.as_str())
    .bind(number)
    .bind(daemon)
    .execute(connection)
    .answered(StoreError::query("free a slot of a shard"))
    .await?;
    Ok(())
}

/// For `clock_timestamp() + …`.
pub(super) fn interval(time: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(time.as_micros()).unwrap_or(i64::MAX),
    }
}

/// How many daemons live.
pub async fn living(connection: &mut Connection) -> Result<i64, StoreError> {
    sqlx::query_scalar("select count(*) from tenantry.daemons where expires_at > clock_timestamp()")
        .fetch_one(connection)
        .answered(StoreError::query("see which daemons live"))
        .await
}

/// Says which rollout a daemon cannot carry forth, having other files than it was started with.
pub async fn lacks(
    connection: &mut Connection,
    daemon: i64,
    rollout: i64,
) -> Result<(), StoreError> {
    sqlx::query("update tenantry.daemons set foreign_to = $2 where id = $1 and foreign_to is distinct from $2")
        .bind(daemon)
        .bind(rollout)
        .execute(connection)
        .answered(StoreError::query("say which rollout has other files"))
        .await?;
    Ok(())
}

/// The rollout that none of the daemons that live can carry forth, where there is such; none also where no daemon lives.
pub async fn foreign(connection: &mut Connection) -> Result<Option<i64>, StoreError> {
    let all: Option<Option<i64>> = sqlx::query_scalar(
        "select min(foreign_to) from tenantry.daemons where expires_at > clock_timestamp()
         having count(*) = count(foreign_to) and min(foreign_to) = max(foreign_to)",
    )
    .fetch_optional(connection)
    .answered(StoreError::query(
        "see whether a daemon has a rollout's files",
    ))
    .await?;
    Ok(all.flatten())
}

/// Says why a daemon waits on a shard; none when it does not any more.
pub async fn hold(
    connection: &mut Connection,
    daemon: i64,
    shard: &ShardName,
    why: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query(
        "with gone as (
             delete from tenantry.holds where daemon = $1 and shard = $2 and $3 is null
         )
         insert into tenantry.holds (daemon, shard, why)
         select $1, $2, $3 where $3 is not null and exists (select from tenantry.daemons where id = $1)
         on conflict (daemon, shard) do update set why = excluded.why",
    )
    .bind(daemon)
    .bind(shard.as_str())
    .bind(why)
    .execute(connection)
    .answered(StoreError::query("say why a shard waits"))
    .await?;
    Ok(())
}

/// Why daemons that live wait, by shard.
pub async fn holds(connection: &mut Connection) -> Result<Vec<(String, String)>, StoreError> {
    sqlx::query_as(
        "select distinct h.shard, h.why from tenantry.holds h join tenantry.daemons d on d.id = h.daemon
          where d.expires_at > clock_timestamp() order by h.shard, h.why",
    )
    .fetch_all(connection)
    .answered(StoreError::query("read why shards wait"))
    .await
}
