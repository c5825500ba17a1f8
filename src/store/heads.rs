//! `tenantry.heads`: where each schema of a shard stands.

use sqlx::postgres::types::Oid;

use super::StoreError;
use crate::{
    history::{Digest, Head, Running},
    migration::{Direction, Version},
    postgres::{Answered, Connection},
    sql::Ident,
};

/// A head, beside what the catalog says of its schema now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// What was pinned.
    pub head: Head,
    /// The name that the schema of that OID has now; none when it is no more.
    pub present: Option<String>,
    /// How far it came with what it is in the middle of.
    pub halfway: Option<Halfway>,
}

/// How far a schema came with a migration that is carried statement by statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Halfway {
    /// How many statements are recorded.
    pub statements_done: i32,
    /// Which statement is under way, or what stopped it where.
    pub note: Option<String>,
}

impl Pinned {
    /// Whether the schema is still the one that was pinned.
    pub fn is_intact(&self) -> bool {
        self.present.as_deref() == Some(self.head.schema.as_str())
    }
}

/// How much a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Schemas that are pinned, but for the shared one and those of the pool.
    pub tenants: u64,
    /// Tables, indexes, sequences and the like, of everybody.
    pub relations: u64,
}

/// How much a shard holds, in one query.
pub async fn load(connection: &mut Connection, shared: &Ident) -> Result<Load, StoreError> {
    let (tenants, relations): (i64, i64) = sqlx::query_as(
        "select (select count(*) from tenantry.heads h
                  where schema_name <> $1 and not starts_with(schema_name, 'tenantry_pool_')),
                (select count(*) from pg_catalog.pg_class)",
    )
    .bind(shared.as_str())
    .fetch_one(connection)
    .answered(StoreError::query("see how much a shard holds"))
    .await?;
    Ok(Load {
        tenants: tenants.unsigned_abs(),
        relations: relations.unsigned_abs(),
    })
}

impl std::fmt::Display for Halfway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.note, self.statements_done) {
            (Some(note), _) => f.write_str(note),
            (None, 1) => f.write_str("after 1 statement"),
            (None, done) => write!(f, "after {done} statements"),
        }
    }
}

type Row = (
    Oid,
    String,
    Option<String>,
    Vec<u8>,
    Vec<u8>,
    i64,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i32>,
    Option<String>,
);

/// All heads of a shard, in one query, whatever their number; but for those of the pool, which are nobody's.
pub async fn list(connection: &mut Connection) -> Result<Vec<Pinned>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select h.schema_oid, h.schema_name, h.version, h.digest, h.repeatables_digest, h.revision, h.fence,
                h.dirty_version, n.nspname::text, h.running_version, h.running_direction, l.statements_done, l.note
           from tenantry.heads h left join pg_catalog.pg_namespace n on n.oid = h.schema_oid
           left join lateral (
               select statements_done, note from tenantry.history
                where h.running_version is not null
                  and schema_oid = h.schema_oid and schema_name = h.schema_name and version = h.running_version
                order by id desc limit 1
           ) l on true
          where not starts_with(h.schema_name, 'tenantry_pool_')
          order by h.schema_name",
    )
    .fetch_all(connection)
    .answered(StoreError::query("read where the schemas stand"))
    .await?;
    rows.into_iter().map(pinned).collect()
}

/// The head of one schema.
pub async fn get(
    connection: &mut Connection,
    schema: &Ident,
) -> Result<Option<Pinned>, StoreError> {
    Ok(of(connection, &[schema.as_str()]).await?.pop())
}

/// The heads of these schemas, by name.
pub async fn of(connection: &mut Connection, schemas: &[&str]) -> Result<Vec<Pinned>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select h.schema_oid, h.schema_name, h.version, h.digest, h.repeatables_digest, h.revision, h.fence,
                h.dirty_version, n.nspname::text, h.running_version, h.running_direction, l.statements_done, l.note
           from tenantry.heads h left join pg_catalog.pg_namespace n on n.oid = h.schema_oid
           left join lateral (
               select statements_done, note from tenantry.history
                where h.running_version is not null
                  and schema_oid = h.schema_oid and schema_name = h.schema_name and version = h.running_version
                order by id desc limit 1
           ) l on true
          where h.schema_name = any($1)",
    )
    .bind(schemas)
    .fetch_all(connection)
    .answered(StoreError::query("read where a schema stands"))
    .await?;
    rows.into_iter().map(pinned).collect()
}

/// Raises the fences of schemas, so that whoever was at work on them before can change them no more. Gives those of them that
/// nobody is at work on: the others are as they were.
pub async fn take_over(
    connection: &mut Connection,
    schemas: &[&str],
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(
        "with free as materialized (
             select h.schema_oid from tenantry.heads h
              where h.schema_name = any($1)
                and pg_catalog.pg_try_advisory_xact_lock((1953395321::bigint << 32) | h.schema_oid::bigint)
         )
         update tenantry.heads h set fence = h.fence + 1 from free f where h.schema_oid = f.schema_oid
         returning h.schema_name",
    )
    .bind(schemas)
    .fetch_all(connection)
    .answered(StoreError::query("take schemas over"))
    .await
}

/// The server's major version, such as 15.
pub async fn postgres(connection: &mut Connection) -> Result<i32, StoreError> {
    sqlx::query_scalar("select current_setting('server_version_num')::integer / 10000")
        .fetch_one(connection)
        .answered(StoreError::query("read the server's version"))
        .await
}

/// The OID of the schema that has this name now.
pub async fn present_oid(
    connection: &mut Connection,
    schema: &Ident,
) -> Result<Option<u32>, StoreError> {
    let oid: Option<Oid> =
        sqlx::query_scalar("select oid from pg_catalog.pg_namespace where nspname = $1")
            .bind(schema.as_str())
            .fetch_optional(connection)
            .answered(StoreError::query("look a schema up"))
            .await?;
    Ok(oid.map(|oid| oid.0))
}

/// Pins the schema of this name as it is now, with nothing applied. False when there is no such schema.
pub async fn pin(connection: &mut Connection, schema: &Ident) -> Result<bool, StoreError> {
    let pinned = sqlx::query(
        "insert into tenantry.heads (schema_oid, schema_name)
         select n.oid, n.nspname from pg_catalog.pg_namespace n where n.nspname = $1",
    )
    .bind(schema.as_str())
    .execute(connection)
    .answered(StoreError::query("pin a schema"))
    .await?;
    Ok(pinned.rows_affected() == 1)
}

/// Gives a restored schema its head and its history back, under the OID that it has now. Where another head has that OID,
/// it was restored as well: so does the schema of that head, and so on. False when there is none of that name.
///
/// # Errors
/// Among others: the OID is that of a head whose own schema is not there; see [`holder`].
pub async fn repin(connection: &mut Connection, schema: &Ident) -> Result<bool, StoreError> {
    let failed = StoreError::query("pin a restored schema again");
    let mut transaction = sqlx::Connection::begin(&mut **connection)
        .answered(&failed)
        .await?;
    // OIDs may have been dealt out anew among the same names: all give up theirs before any takes its new one.
    let moved: Vec<(String, Oid)> = sqlx::query_as(
        "with recursive moving as (
             select h.schema_name, h.schema_oid as old, n.oid as new
               from tenantry.heads h join pg_catalog.pg_namespace n on n.nspname = h.schema_name
              where h.schema_name = $1
             union
             select h.schema_name, h.schema_oid, n.oid
               from moving m
               join tenantry.heads h on h.schema_oid = m.new and h.schema_name <> m.schema_name
               join pg_catalog.pg_namespace n on n.nspname = h.schema_name
         ), log as (
             update tenantry.history h set schema_oid = m.new
               from moving m where h.schema_oid = m.old and h.schema_name = m.schema_name and m.old <> m.new
         ), numbered as (
             select m.schema_name, m.new, row_number() over (order by m.schema_name) as number from moving m
         ), parted as (
             update tenantry.heads h set schema_oid = (4294967296 - n.number)::oid
               from numbered n where h.schema_name = n.schema_name
         )
         select schema_name, new from moving",
    )
    .bind(schema.as_str())
    .persistent(false)
    .fetch_all(&mut *transaction)
    .answered(&failed)
    .await?;
    for (name, oid) in &moved {
        sqlx::query(
            "update tenantry.heads set schema_oid = $2, revision = revision + 1, fence = fence + 1 where schema_name = $1",
        )
        .bind(name)
        .bind(oid)
        .persistent(false)
        .execute(&mut *transaction)
        .answered(&failed)
        .await?;
    }
    transaction.commit().answered(&failed).await?;
    Ok(!moved.is_empty())
}

/// The other head that has the OID of the schema of this name: the name that the schema of that OID had when it was pinned.
pub async fn holder(
    connection: &mut Connection,
    schema: &Ident,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar(
        "select h.schema_name from tenantry.heads h join pg_catalog.pg_namespace n on n.oid = h.schema_oid
          where n.nspname = $1 and h.schema_name <> $1",
    )
    .bind(schema.as_str())
    .fetch_optional(connection)
    .answered(StoreError::query("read where a schema stands"))
.await
}

/// Forgets a schema that is no more; its history stays in the log.
pub async fn forget(connection: &mut Connection, schema_oid: u32) -> Result<(), StoreError> {
    sqlx::query("delete from tenantry.heads where schema_oid = $1")
        .bind(Oid(schema_oid))
        .execute(connection)
        .answered(StoreError::query("forget a schema"))
        .await?;
    Ok(())
}

/// What belongs to other schemas and would be dropped with this one, as PostgreSQL names it.
pub async fn outsiders(
    connection: &mut Connection,
    schema_oid: u32,
) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar("select tenantry.outsiders($1)")
        .bind(Oid(schema_oid))
        .fetch_all(connection)
        .answered(StoreError::query("look at what depends on a schema"))
        .await
}

/// How many locks the whole server has room for, by its settings.
pub async fn lock_room(connection: &mut Connection) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "select current_setting('max_locks_per_transaction')::bigint
                * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)",
    )
    .fetch_one(connection)
    .answered(StoreError::query("read the server's limits"))
    .await
}

/// Marks a schema as stopped half-way at `version`, so that nothing more is carried to it.
pub async fn mark_dirty(
    connection: &mut Connection,
    schema_oid: u32,
    version: Version,
) -> Result<(), StoreError> {
    sqlx::query("update tenantry.heads set dirty_version = $2, revision = revision + 1 where schema_oid = $1")
        .bind(Oid(schema_oid))
        .bind(version.to_string())
        .execute(connection)
        .answered(StoreError::query("mark a schema as dirty"))
        .await?;
    Ok(())
}

fn pinned(row: Row) -> Result<Pinned, StoreError> {
    let (
        oid,
        schema,
        version,
        digest,
        repeatables,
        revision,
        fence,
        dirty,
        present,
        running,
        way,
        done,
        note,
    ) = row;
    let parsed = |text: Option<String>| text.map(|text| parse_version(&text)).transpose();
    let direction = match way.as_deref() {
        Some("down") => Direction::Down,
        _ => Direction::Up,
    };
    let running = parsed(running)?.map(|version| Running { version, direction });
    let head = Head {
        schema_oid: oid.0,
        schema,
        version: parsed(version)?,
        digest: Digest(bytes(&digest, "heads")?),
        repeatables: Digest(bytes(&repeatables, "heads")?),
        revision,
        fence,
        dirty: parsed(dirty)?,
        running,
    };
    let halfway = done.map(|statements_done| Halfway {
        statements_done,
        note,
    });
    Ok(Pinned {
        head,
        present,
        halfway,
    })
}

pub(super) fn parse_version(text: &str) -> Result<Version, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable {
        table: "heads",
        value: text.to_owned(),
        expected: "a version",
    })
}

pub(super) fn bytes(value: &[u8], table: &'static str) -> Result<[u8; 32], StoreError> {
    value.try_into().map_err(|_| StoreError::Unreadable {
        table,
        value: format!("{} bytes", value.len()),
        expected: "32 bytes",
    })
}
