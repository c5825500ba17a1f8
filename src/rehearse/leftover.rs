//! Copies in the fleet's own databases: marked, so that one whose maker was killed is known for what it is.

use sqlx::AssertSqlSafe;

use super::RehearseError;
use crate::{
    postgres::{Answered as _, Connection, Session},
    sql::Ident,
};

/// How the names of copies begin.
const PREFIX: &str = "tenantry_rehearsal_";

/// A copy that nobody works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The name of its schema.
    pub schema: String,
}

/// Copies in this database whose makers are gone: each holds a lock as long as it lives.
///
/// # Errors
/// The database.
pub async fn leftovers(connection: &mut Connection) -> sqlx::Result<Vec<Leftover>> {
    let names: Vec<String> = sqlx::query_scalar(
        "select n.nspname::text from pg_catalog.pg_namespace n
          where pg_catalog.starts_with(n.nspname::text, 'tenantry_rehearsal_')
            and pg_catalog.starts_with(pg_catalog.obj_description(n.oid, 'pg_namespace'), 'made by tenantry rehearse')
            and not exists (
                select from pg_catalog.pg_locks l
                 where l.locktype = 'advisory' and l.granted and l.classid = 1953395322 and l.objsubid = 2
                   and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
                   and l.objid::int8 = pg_catalog.hashtext(n.nspname::text)::int8 & 4294967295)
          order by 1",
    )
    .fetch_all(connection)
    .await?;
    Ok(names
        .into_iter()
        .map(|schema| Leftover { schema })
        .collect())
}

/// Drops the copies whose makers are gone; their names.
pub(super) async fn clear(session: &mut Session) -> Result<Vec<String>, RehearseError> {
    let failed = || RehearseError::server("look for copies that were left behind");
    let found = leftovers(session.connection()).await.map_err(failed())?;
    let mut dropped = Vec::new();
    for Leftover { schema } in found {
        drop_schema(session, &Ident::new(&schema)?).await?;
        dropped.push(schema);
    }
    Ok(dropped)
}

/// Makes an empty schema for a copy; it is known as somebody's as long as the session lives.
pub(super) async fn make(session: &mut Session) -> Result<Ident, RehearseError> {
    let failed = || RehearseError::server("make a schema for the copy");
    let pid: i32 = sqlx::query_scalar("select pg_catalog.pg_backend_pid()")
        .fetch_one(session.connection())
        .answered(failed())
        .await?;
    let name = format!("{PREFIX}{pid}");
    // Before there is anything to be seen.
    sqlx::query("select pg_catalog.pg_advisory_lock(1953395322, pg_catalog.hashtext($1))")
        .bind(&name)
        .execute(session.connection())
        .answered(failed())
        .await?;
    let schema = Ident::new(name)?;
    let make = format!(
        "BEGIN; CREATE SCHEMA {schema}; \
         COMMENT ON SCHEMA {schema} IS 'made by tenantry rehearse, which removes it at its end'; COMMIT"
    );
    super::copy::run(session, make, "make a schema for the copy").await?;
    Ok(schema)
}

/// Drops a copy. Whoever was cut off at work on it may hold it for a moment still. Runs also when everything else has been
/// told to stop.
pub(super) async fn drop_schema(
    session: &mut Session,
    schema: &Ident,
) -> Result<(), RehearseError> {
    sqlx::raw_sql(AssertSqlSafe(format!(
        "DROP SCHEMA IF EXISTS {schema} CASCADE"
    )))
    .execute(&mut **session.connection())
    .await
    .map_err(RehearseError::server("drop the copy"))?;
    Ok(())
}
