//! Databases and roles on a scratch server: the only SQL that is built here.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::sql::Ident;

/// Creates an empty database on the server the URL leads to.
pub(super) async fn create(url: &str, name: &Ident) -> sqlx::Result<()> {
    run(url, format!("CREATE DATABASE {name}")).await
}

/// Creates a database like another one, to which nobody may be connected. Sessions of ours that still are, such as one that has
/// looked for what was in the way, are ended.
pub(super) async fn copy(url: &str, name: &Ident, original: &Ident) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(
        "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
          where a.datname = $1::name and a.usename = current_user and a.pid <> pg_catalog.pg_backend_pid()",
    )
    .bind(original.as_str())
    .persistent(false)
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    run(url, format!("CREATE DATABASE {name} TEMPLATE {original}")).await
}

async fn run(url: &str, statement: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Drops those of the databases that exist, whoever is connected to them.
pub(super) async fn drop_all(url: &str, names: &[Ident]) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for name in names {
        let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await
}

/// The names of all roles.
pub(super) async fn roles(url: &str) -> sqlx::Result<BTreeSet<String>> {
    let mut connection = PgConnection::connect(url).await?;
    let names: Vec<String> = sqlx::query_scalar("select rolname::text from pg_catalog.pg_roles")
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    Ok(names.into_iter().collect())
}

/// Drops those of the roles that exist. One that something depends on stays, and so is not lost to whoever uses it.
pub(super) async fn drop_roles(url: &str, names: &[Ident]) -> sqlx::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut connection = PgConnection::connect(url).await?;
    for name in names {
        let statement = format!("DROP ROLE IF EXISTS {name}");
        let dropped = sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await;
        match dropped {
            Err(sqlx::Error::Database(error)) => {
                tracing::warn!(role = name.as_str(), %error, "a role stays");
            }
            dropped => {
                dropped?;
            }
        }
    }
    connection.close().await
}
