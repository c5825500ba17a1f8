//! What a snapshot does not see: so that whoever relies on one can say so.

use sqlx::{Connection as _, PgConnection, query_as};

use super::StructureError;
use crate::sql::Ident;

/// What is in a schema that a snapshot does not see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unseen {
    /// Objects of rare kinds, and rare options of others.
    pub objects: Vec<String>,
    /// Privileges and the like, which belong to a server rather than to a structure.
    pub circumstances: Vec<String>,
}

/// Looks for what a [`snapshot`](super::snapshot()) of `schema` leaves out.
pub async fn unseen(conn: &mut PgConnection, schema: &Ident) -> Result<Unseen, StructureError> {
    let failed = |source| StructureError::Database {
        doing: "look for rare objects",
        schema: schema.as_str().to_owned(),
        source,
    };
    let mut transaction = conn.begin().await.map_err(failed)?;
    let oid: Option<sqlx::postgres::types::Oid> =
        sqlx::query_scalar("select oid from pg_catalog.pg_namespace where nspname = $1")
            .bind(schema.as_str())
            .persistent(false)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
    let oid = oid.ok_or_else(|| StructureError::NoSchema(schema.as_str().to_owned()))?;
    let rows: Vec<(String, bool)> = query_as(include_str!("unseen.sql"))
        .bind(oid)
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.rollback().await.map_err(failed)?;
    let mut unseen = Unseen::default();
    for (what, is_object) in rows {
        let list = if is_object {
            &mut unseen.objects
        } else {
            &mut unseen.circumstances
        };
        list.push(what);
    }
    Ok(unseen)
}
