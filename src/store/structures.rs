//! `tenantry.structures`: what histories make, kept so that it is tried out once.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::types::Json;

use super::StoreError;
use crate::{
    history::Digest,
    migration::Scope,
    postgres::{Answered, Connection},
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

/// The structure that was kept under this key. One that cannot be read, as another tenantry wrote it otherwise, is none.
pub async fn get<T: DeserializeOwned>(
    connection: &mut Connection,
    key: &Key,
) -> Result<Option<T>, StoreError> {
    let kept: Option<serde_json::Value> = sqlx::query_scalar(
        "select structure from tenantry.structures
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
    Ok(kept.and_then(|kept| serde_json::from_value(kept).ok()))
}

/// Keeps a structure, in place of one that was kept before.
pub async fn put<T: Serialize + Sync>(
    connection: &mut Connection,
    key: &Key,
    structure: &T,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into tenantry.structures (scope, digest, repeatables, postgres, recipe, structure)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (scope, digest, repeatables, postgres, recipe) do update
            set structure = excluded.structure, made_at = clock_timestamp()",
    )
    .bind(key.scope.to_string())
    .bind(key.digest.0.as_slice())
    .bind(key.repeatables.0.as_slice())
    .bind(key.postgres)
    .bind(key.recipe.as_slice())
    .bind(Json(structure))
    .execute(connection)
    .answered(StoreError::query("keep what a history makes"))
    .await?;
    Ok(())
}
