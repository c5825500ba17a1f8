//! `tenantry.backfill_cursors`: how far each backfill has come in each schema of a shard.
//!
//! A cursor is moved by `enter_batch` and `leave_batch` alone, in the transaction of the batch.

use sqlx::{Row, postgres::PgRow, postgres::types::Oid};

use super::{StoreError, heads::bytes};
use crate::{
    migration::Checksum,
    postgres::{Answered, Connection},
};

/// How far a backfill has come in one schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// What the backfill did when it was begun.
    pub checksum: Checksum,
    /// The column by which the batches are cut.
    pub key: String,
    /// The last key done; none at the start.
    pub low: Option<String>,
    /// The last key of the next batch; none where it was not looked for yet, or where there is none.
    pub high: Option<String>,
    /// How many rows the next batch had when it was looked for.
    pub rows: u64,
    /// How many rows the committed batches had.
    pub rows_done: u64,
    /// How many batches were committed.
    pub batches: u64,
    /// Raised by every change.
    pub revision: i64,
    /// Whether the end of the table was reached.
    pub done: bool,
}

/// How far a backfill has come on one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its name.
    pub backfill: String,
    /// Schemas in which it was begun.
    pub schemas: u64,
    /// Schemas in which it is done.
    pub done: u64,
    /// Rows of all committed batches.
    pub rows_done: u64,
}

/// The cursor of a backfill in a schema, made where there is none. It may be that of another definition.
pub async fn begin(
    connection: &mut Connection,
    schema_oid: u32,
    backfill: &str,
    key: &str,
    checksum: Checksum,
) -> Result<Cursor, StoreError> {
    let failed = StoreError::query("begin a backfill");
    sqlx::query(
        "insert into tenantry.backfill_cursors (schema_oid, backfill, key, checksum) values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(Oid(schema_oid))
    .bind(backfill)
    .bind(key)
    .bind(checksum.as_bytes().to_vec())
    .execute(&mut *connection)
    .answered(&failed)
    .await?;
    let row = sqlx::query(
        "select checksum, key, low, high, rows, rows_done, batches, revision, done
           from tenantry.backfill_cursors where schema_oid = $1 and backfill = $2",
    )
    .bind(Oid(schema_oid))
    .bind(backfill)
    .fetch_one(connection)
    .answered(&failed)
    .await?;
    Cursor::of(&row)
}

/// Puts the cursor of a backfill back to the first row, where there is one, for this definition.
pub async fn restart(
    connection: &mut Connection,
    schema_oid: u32,
    backfill: &str,
    key: &str,
    checksum: Checksum,
) -> Result<(), StoreError> {
    sqlx::query(
        "update tenantry.backfill_cursors
            set key = $3, checksum = $4, low = null, high = null, rows = 0, rows_done = 0, batches = 0, done = false,
                revision = revision + 1, started_at = clock_timestamp(), updated_at = clock_timestamp()
          where schema_oid = $1 and backfill = $2",
    )
    .bind(Oid(schema_oid))
    .bind(backfill)
    .bind(key)
    .bind(checksum.as_bytes().to_vec())
    .execute(connection)
    .answered(StoreError::query("begin a backfill again"))
    .await?;
    Ok(())
}

/// Those of `schemas` in which the backfill was begun with another definition.
pub async fn begun_otherwise(
    connection: &mut Connection,
    schemas: &[u32],
    backfill: &str,
    checksum: Checksum,
) -> Result<Vec<u32>, StoreError> {
    let found: Vec<Oid> = sqlx::query_scalar(
        "select schema_oid from tenantry.backfill_cursors
          where schema_oid = any($1) and backfill = $2 and checksum <> $3",
    )
    .bind(schemas.iter().map(|oid| Oid(*oid)).collect::<Vec<_>>())
    .bind(backfill)
    .bind(checksum.as_bytes().to_vec())
    .fetch_all(connection)
    .answered(StoreError::query("read how far a backfill has come"))
    .await?;
    Ok(found.into_iter().map(|oid| oid.0).collect())
}

/// How far every backfill has come on this shard, by name.
pub async fn progress(connection: &mut Connection) -> Result<Vec<Progress>, StoreError> {
    let failed = StoreError::query("read how far the backfills have come");
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select backfill, count(*), count(*) filter (where done), sum(rows_done)::bigint
           from tenantry.backfill_cursors group by backfill order by backfill",
    )
    .fetch_all(connection)
    .answered(&failed)
    .await?;
    let progress = |(backfill, schemas, done, rows_done): (String, i64, i64, i64)| Progress {
        backfill,
        schemas: schemas.unsigned_abs(),
        done: done.unsigned_abs(),
        rows_done: rows_done.unsigned_abs(),
    };
    Ok(rows.into_iter().map(progress).collect())
}

impl Cursor {
    /// Reads the row that `leave_batch` returns.
    pub fn of(row: &PgRow) -> Result<Self, StoreError> {
        let failed = StoreError::query("read a backfill's cursor");
        let count = |column| {
            row.try_get::<i64, _>(column)
                .map(i64::unsigned_abs)
                .map_err(&failed)
        };
        let checksum: Vec<u8> = row.try_get("checksum").map_err(&failed)?;
        Ok(Self {
            checksum: bytes(&checksum, "backfill_cursors")?.into(),
            key: row.try_get("key").map_err(&failed)?,
            low: row.try_get("low").map_err(&failed)?,
            high: row.try_get("high").map_err(&failed)?,
            rows: count("rows")?,
            rows_done: count("rows_done")?,
            batches: count("batches")?,
            revision: row.try_get("revision").map_err(&failed)?,
            done: row.try_get("done").map_err(&failed)?,
        })
    }
}
