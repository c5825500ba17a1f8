//! Migrations that are carried statement by statement: how far each has come, on `tenantry.history` and `tenantry.heads`.
//!
//! Every call is a transaction of its own, and asserts what `enter` does. None of them waits.

use sqlx::postgres::types::Oid;

use super::StoreError;
use crate::{
    history::{Applied, Digest, Head},
    migration::{Direction, Version},
    postgres::{Answered, Connection},
};

/// How far a migration has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many of its statements are recorded.
    pub done: usize,
    /// The next one was begun outside a transaction, and its end is not recorded.
    pub open: Option<Before>,
}

/// What a statement found when it was begun: the OID of what it is about, where that was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before(pub Option<u32>);

/// Tries the schema's own lock, for the session; the backend's id when it was had. Never waits in the server, where a
/// waiter would hold up every CONCURRENTLY.
pub async fn lock(connection: &mut Connection, schema_oid: u32) -> Result<Option<i32>, StoreError> {
    sqlx::query_scalar(
        "select case when pg_try_advisory_lock((1953395321::bigint << 32) | $1::oid::bigint) then pg_backend_pid() end",
    )
    .bind(Oid(schema_oid))
    .fetch_one(connection)
    .answered(StoreError::query("lock a schema"))
    .await
}

/// Tries the lock of the database under which indexes are built concurrently, one at a time, for the session.
pub async fn queue(connection: &mut Connection) -> Result<bool, StoreError> {
    sqlx::query_scalar("select pg_try_advisory_lock(1953395321, 1)")
        .fetch_one(connection)
        .answered(StoreError::query("wait for the turn of a statement"))
        .await
}

/// Begins a migration, or goes on with it.
pub async fn begin(
    connection: &mut Connection,
    head: &Head,
    migration: &Applied,
    direction: Direction,
    who: &str,
) -> Result<Progress, StoreError> {
    let (done, is_open, before): (i32, bool, Option<Oid>) = sqlx::query_as(
        "select done, is_open, before from tenantry.begin_statements($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(Oid(head.schema_oid))
    .bind(&head.schema)
    .bind(head.revision)
    .bind(head.fence)
    .bind(migration.version.to_string())
    .bind(&migration.name)
    .bind(direction.as_str())
    .bind(migration.up.as_bytes().to_vec())
    .bind(migration.down.map(|down| down.as_bytes().to_vec()))
    .bind(who)
    .fetch_one(connection)
    .answered(StoreError::query("begin a migration"))
    .await?;
    Ok(Progress {
        done: usize::try_from(done).unwrap_or(0),
        open: is_open.then_some(Before(before.map(|oid| oid.0))),
    })
}

/// Says that the statement after `done` is about to be begun, and which one that is.
pub async fn open(
    connection: &mut Connection,
    head: &Head,
    done: usize,
    before: Before,
    note: &str,
) -> Result<(), StoreError> {
    sqlx::query("select tenantry.open_statement($1, $2, $3, $4, $5, $6, $7)")
        .bind(Oid(head.schema_oid))
        .bind(&head.schema)
        .bind(head.revision)
        .bind(head.fence)
        .bind(count(done))
        .bind(before.0.map(Oid))
        .bind(note)
        .execute(connection)
        .answered(StoreError::query("record that a statement is begun"))
        .await?;
    Ok(())
}

/// Says that the statement after `done` is done, or that nothing is left of it.
pub async fn close(
    connection: &mut Connection,
    head: &Head,
    done: usize,
    is_done: bool,
) -> Result<(), StoreError> {
    sqlx::query("select tenantry.close_statement($1, $2, $3, $4, $5, $6)")
        .bind(Oid(head.schema_oid))
        .bind(&head.schema)
        .bind(head.revision)
        .bind(head.fence)
        .bind(count(done))
        .bind(is_done)
        .execute(connection)
        .answered(StoreError::query("record a statement"))
        .await?;
    Ok(())
}

/// Records the migration, of which all statements are done.
pub async fn finish(
    connection: &mut Connection,
    head: &Head,
    done: usize,
    version: Option<Version>,
    digest: Digest,
) -> Result<(), StoreError> {
    sqlx::query("select tenantry.finish_statements($1, $2, $3, $4, $5, $6, $7)")
        .bind(Oid(head.schema_oid))
        .bind(&head.schema)
        .bind(head.revision)
        .bind(head.fence)
        .bind(count(done))
        .bind(version.map(|version| version.to_string()))
        .bind(digest.0.to_vec())
        .execute(connection)
        .answered(StoreError::query("record a migration"))
        .await?;
    Ok(())
}

/// Records that the migration stops after `done` statements, and why; `dirty` when nobody can tell how much of the next
/// one was done.
pub async fn stop(
    connection: &mut Connection,
    head: &Head,
    done: usize,
    note: &str,
    dirty: bool,
) -> Result<(), StoreError> {
    sqlx::query("select tenantry.stop_statements($1, $2, $3, $4, $5, $6, $7)")
        .bind(Oid(head.schema_oid))
        .bind(&head.schema)
        .bind(head.revision)
        .bind(head.fence)
        .bind(count(done))
        .bind(note)
        .bind(dirty)
        .execute(connection)
        .answered(StoreError::query("record where a migration stopped"))
        .await?;
    Ok(())
}

fn count(done: usize) -> i32 {
    i32::try_from(done).unwrap_or(i32::MAX)
}
