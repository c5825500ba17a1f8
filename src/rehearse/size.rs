//! How large tenants are, and which tables they have: one query a shard, whatever their number.

use std::collections::HashMap;

use super::RehearseError;
use crate::postgres::{Answered as _, Session};

/// The size of each of these schemas, in bytes; one without tables is left out.
pub(crate) async fn sizes(
    session: &mut Session,
    schemas: &[String],
) -> Result<HashMap<String, u64>, RehearseError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(include_str!("sizes.sql"))
        .bind(schemas)
        .fetch_all(session.connection())
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
