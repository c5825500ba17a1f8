//! `tenantry.structures`: what histories make, kept so that it is tried out once.

use sqlx::types::Json;

use super::StoreError;
use crate::{
    history::Digest,
    migration::Scope,
    postgres::{Answered, Connection},
    structure::{Fingerprint, Snapshot},
};

/// Which structure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Whose set.
    pub scope: Scope,
    /// What is applied.
    pub digest: Digest,
    /// The repeatables as last applied.
    pub repeatables: Digest,
    /// The major version of PostgreSQL that writes it.
    pub postgres: i32,
    /// How it is read.
    pub recipe: [u8; 32],
}

/// What a schema of a history looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Structure {
    /// Its hash.
    pub fingerprint: Fingerprint,
    /// All of it.
    pub snapshot: Snapshot,
}

/// The structure that was kept under this key. One that cannot be read, as an older tenantry wrote it otherwise, is none.
pub async fn get(connection: &mut Connection, key: &Key) -> Result<Option<Structure>, StoreError> {
    let row: Option<(serde_json::Value, serde_json::Value)> = sqlx::query_as(
        "select fingerprint, snapshot from tenantry.structures
          where scope = $1 and digest = $2 and repeatables = $3 and postgres = $4 and recipe = $5",
    )
    .bind(key.scope.to_string())
    .bind(key.digest.0.as_slice())
    .bind(key.repeatables.0.as_slice())
    .bind(key.postgres)
    .bind(key.recipe.as_slice())
    .fetch_optional(connection)
    .answered(StoreError::query("read what a history makes"))
    .await?;
    Ok(row.and_then(|(fingerprint, snapshot)| {
        Some(Structure {
            fingerprint: serde_json::from_value(fingerprint).ok()?,
            snapshot: serde_json::from_value(snapshot).ok()?,
        })
    }))
}

/// Keeps a structure, in place of one that was kept before.
pub async fn put(
    connection: &mut Connection,
    key: &Key,
    structure: &Structure,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into tenantry.structures (scope, digest, repeatables, postgres, recipe, fingerprint, snapshot)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (scope, digest, repeatables, postgres, recipe) do update
            set fingerprint = excluded.fingerprint, snapshot = excluded.snapshot, made_at = clock_timestamp()",
    )
    .bind(key.scope.to_string())
    .bind(key.digest.0.as_slice())
    .bind(key.repeatables.0.as_slice())
    .bind(key.postgres)
    .bind(key.recipe.as_slice())
    .bind(Json(&structure.fingerprint))
    .bind(Json(&structure.snapshot))
    .execute(connection)
    .answered(StoreError::query("keep what a history makes"))
    .await?;
    Ok(())
}
