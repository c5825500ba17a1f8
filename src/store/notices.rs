//! `tenantry.notices`: what the server said while a migration ran, beside the migration's row of the history.

use sqlx::postgres::types::Oid;

use super::{StoreError, heads::parse_version};
use crate::{
    history::Head,
    migration::Version,
    postgres::{Answered, Connection},
};

/// One message of the server, and the row of the history that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The schema.
    pub schema_oid: u32,
    /// The revision to which the migration has raised it.
    pub revision: i64,
    /// `notice` or `warning`.
    pub level: &'static str,
    /// The text.
    pub message: String,
    /// How often it was sent.
    pub times: u64,
}

/// One message of the server, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// The migration's number.
    pub version: Version,
    /// The slug it had.
    pub name: String,
    /// `up` or `down`.
    pub direction: String,
    /// `notice` or `warning`.
    pub level: String,
    /// The text.
    pub message: String,
    /// How often it was sent.
    pub times: u64,
}

/// Stores messages of any schemas of the shard. Those whose migration is not in the history are left out.
pub async fn put(connection: &mut Connection, rows: &[Row]) -> Result<(), StoreError> {
    sqlx::query(
        "insert into tenantry.notices (history_id, level, message, times)
         select h.id, n.level, n.message, n.times
           from unnest($1::oid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])
                as n (schema_oid, revision, level, message, times)
           join tenantry.history h on h.schema_oid = n.schema_oid and h.revision = n.revision and h.how = 'run'
            and h.state in ('applied', 'reverted')",
    )
    .bind(rows.iter().map(|r| Oid(r.schema_oid)).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.revision).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.level).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.message.clone()).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|r| i64::try_from(r.times).unwrap_or(i64::MAX))
            .collect::<Vec<_>>(),
    )
    .execute(connection)
    .answered(StoreError::query("store what the server said"))
    .await?;
    Ok(())
}

/// The newest `limit` messages of one schema, newest first.
pub async fn entries(
    connection: &mut Connection,
    head: &Head,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    type Found = (String, String, String, String, String, i64);
    let found: Vec<Found> = sqlx::query_as(
        "select h.version, h.name, h.direction, n.level, n.message, n.times
           from tenantry.history h join tenantry.notices n on n.history_id = h.id
          where h.schema_oid = $1 and h.schema_name = $2 order by n.id desc limit $3",
    )
    .bind(Oid(head.schema_oid))
    .bind(&head.schema)
    .bind(limit)
    .fetch_all(connection)
    .answered(StoreError::query("read what the server said"))
    .await?;
    let entry = |(version, name, direction, level, message, times): Found| {
        Ok(Entry {
            version: parse_version(&version)?,
            name,
            direction,
            level,
            message,
            times: times.unsigned_abs(),
        })
    };
    found.into_iter().map(entry).collect()
}
