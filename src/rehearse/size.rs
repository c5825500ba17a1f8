//! How large tenants are, and which tables they have: one query a shard, whatever their number.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::RehearseError;
use crate::postgres::{Answered as _, Session};

/// The size of each of these schemas, in bytes; one without tables is left out.
pub(crate) async fn sizes(
    session: &mut Session,
    schemas: &[String],
) -> Result<HashMap<String, u64>, RehearseError> {
    measured(session.connection(), schemas).await
}

/// As [`sizes`], for whoever would rather not know them than wait: what takes longer than a moment is an error.
pub(crate) async fn sizes_at_once(
    session: &mut Session,
    schemas: &[String],
) -> Result<HashMap<String, u64>, RehearseError> {
    let failed = || RehearseError::server("see how large the tenants are");
    let mut transaction = sqlx::Connection::begin(&mut **session.connection())
        .answered(failed())
        .await?;
    sqlx::query(
        "select pg_catalog.set_config('lock_timeout', '200ms', true), pg_catalog.set_config('statement_timeout', '5s', true)",
    )
    .persistent(false)
    .execute(&mut *transaction)
    .answered(failed())
    .await?;
    let sizes = measured(&mut transaction, schemas).await?;
    transaction.rollback().answered(failed()).await?;
    Ok(sizes)
}

async fn measured(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<HashMap<String, u64>, RehearseError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(include_str!("sizes.sql"))
        .bind(schemas)
        .persistent(false)
        .fetch_all(connection)
        .answered(RehearseError::server("see how large the tenants are"))
        .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(schema, bytes)| (schema, bytes.unsigned_abs()))
        .collect())
}

/// Those of `names` that are tables of any of the schemas.
pub(super) async fn named(
    session: &mut Session,
    schemas: &[String],
    names: &[String],
) -> Result<Vec<String>, RehearseError> {
    sqlx::query_scalar(include_str!("named.sql"))
        .bind(schemas)
        .bind(names)
        .fetch_all(session.connection())
        .answered(RehearseError::server("look for the tables without rows"))
        .await
}
