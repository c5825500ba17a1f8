//! Reading a schema of the fleet: in one transaction that can only read, so that all of it is of one moment.

use sqlx::{Connection as _, FromRow, PgConnection, Postgres, Transaction, query, query_as};

use super::RehearseError;
use crate::{postgres::Session, sql::Ident};

/// A table that holds rows.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Table {
    pub(super) name: String,
    /// What it is a part of, by partitioning.
    pub(super) family: Vec<String>,
    /// With TOAST, without indexes.
    #[sqlx(try_from = "i64")]
    pub(super) bytes: u64,
    /// Whether there is no row in it; else there may be none either.
    pub(super) is_empty: bool,
    /// Whether policies hide rows from whoever copies.
    pub(super) is_hidden: bool,
    /// By the last ANALYZE; below zero where there was none.
    pub(super) rows: f64,
    /// Those that are not computed from others.
    pub(super) columns: Vec<String>,
}

/// A foreign key.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) child: String,
    pub(super) parent_schema: String,
    pub(super) parent: String,
    pub(super) child_columns: Vec<String>,
    pub(super) parent_columns: Vec<String>,
    /// Whether it holds for all rows.
    pub(super) is_valid: bool,
}

/// Begins the transaction in which a schema is read.
pub(super) async fn begin<'s>(
    session: &'s mut Session,
    schema: &Ident,
) -> Result<Transaction<'s, Postgres>, RehearseError> {
    let failed = || RehearseError::server("begin reading");
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let connection: &mut PgConnection = session.connection();
    let mut transaction = connection.begin_with(begin).await.map_err(failed())?;
    // Others are not kept waiting, and a policy that would hide rows is an error.
    query(
        "select pg_catalog.set_config('lock_timeout', '5s', true), pg_catalog.set_config('row_security', 'off', true),
                pg_catalog.set_config('idle_in_transaction_session_timeout', '15min', true)",
    )
    .execute(&mut *transaction)
    .await
    .map_err(failed())?;
    write_alike(&mut transaction, schema, true).await?;
    Ok(transaction)
}

/// Both sides write values in the same way, whatever their settings. With `is_local`, to the end of the transaction.
pub(super) async fn write_alike(
    connection: &mut PgConnection,
    schema: &Ident,
    is_local: bool,
) -> Result<(), RehearseError> {
    query(
        "select pg_catalog.set_config('search_path', $1, $2), pg_catalog.set_config('datestyle', 'ISO, YMD', $2),
                pg_catalog.set_config('intervalstyle', 'postgres', $2), pg_catalog.set_config('timezone', 'UTC', $2),
                pg_catalog.set_config('bytea_output', 'hex', $2), pg_catalog.set_config('extra_float_digits', '3', $2),
                pg_catalog.set_config('lc_monetary', 'C', $2)",
    )
    .bind(format!("{schema}, pg_catalog"))
    .bind(is_local)
    .execute(connection)
    .await
    .map_err(RehearseError::server("set how values are written"))?;
    Ok(())
}

/// The tables of a schema, in the order in which they were made.
pub(super) async fn tables(
    connection: &mut PgConnection,
    schema: &Ident,
) -> Result<Vec<Table>, RehearseError> {
    query_as(include_str!("tables.sql"))
        .bind(schema.as_str())
        .fetch_all(connection)
        .await
        .map_err(RehearseError::server("list the tables"))
}

/// The foreign keys of its tables.
pub(super) async fn keys(
    connection: &mut PgConnection,
    schema: &Ident,
) -> Result<Vec<Key>, RehearseError> {
    query_as(include_str!("keys.sql"))
        .bind(schema.as_str())
        .fetch_all(connection)
        .await
        .map_err(RehearseError::server("list the foreign keys"))
}

/// The names of its sequences.
pub(super) async fn sequences(
    connection: &mut PgConnection,
    schema: &Ident,
) -> Result<Vec<String>, RehearseError> {
    sqlx::query_scalar(
        "select c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where n.nspname = $1 and c.relkind = 'S' order by c.oid",
    )
    .bind(schema.as_str())
    .fetch_all(connection)
    .await
    .map_err(RehearseError::server("list the sequences"))
}
