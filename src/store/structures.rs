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
    /// What is applied in the shared schema below.
    pub below: Digest,
}

/// The structure that was kept under this key, in a database with what `prepare` is the digest of; the last one, where that is
/// none. One that cannot be read, as another tenantry wrote it otherwise, is none.
pub async fn get<T: DeserializeOwned>(
    connection: &mut Connection,
    key: &Key,
    prepare: Option<Digest>,
) -> Result<Option<T>, StoreError> {
    let kept: Option<serde_json::Value> = sqlx::query_scalar(
        "select structure from tenantry.structures
          where scope = $1 and digest = $2 and repeatables = $3 and postgres = $4 and recipe = $5 and below = $6
            and coalesce(prepare = $7, true)
          order by made_at desc limit 1",
    )
    .bind(key.scope.to_string())
    .bind(key.digest.0.as_slice())
    .bind(key.repeatables.0.as_slice())
    .bind(key.postgres)
    .bind(key.recipe.as_slice())
    .bind(key.below.0.as_slice())
    .bind(prepare.map(|digest| digest.0.to_vec()))
    .fetch_optional(connection)
    .answered(StoreError::query("read what a history makes"))
    .await?;
    Ok(kept.and_then(|kept| serde_json::from_value(kept).ok()))
}

/// Keeps a structure, in place of one that was kept before.
pub async fn put<T: Serialize + Sync>(
    connection: &mut Connection,
    key: &Key,
    prepare: Digest,
    structure: &T,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into tenantry.structures (scope, digest, repeatables, postgres, recipe, below, prepare, structure)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (scope, digest, repeatables, postgres, recipe, below, prepare) do update
            set structure = excluded.structure, made_at = clock_timestamp()",
    )
    .bind(key.scope.to_string())
    .bind(key.digest.0.as_slice())
    .bind(key.repeatables.0.as_slice())
    .bind(key.postgres)
    .bind(key.recipe.as_slice())
    .bind(key.below.0.as_slice())
    .bind(prepare.0.as_slice())
    .bind(Json(structure))
    .execute(connection)
    .answered(StoreError::query("keep what a history makes"))
    .await?;
    Ok(())
}
