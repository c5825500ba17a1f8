//! The warm pool of a shard: heads whose name begins with [`PREFIX`], and `tenantry.pool`, which has those of them that may
//! be handed out.

use sqlx::postgres::types::Oid;

use super::{StoreError, heads::Pinned};
use crate::{
    history::Digest,
    postgres::{Answered, Connection},
    sql::Ident,
};

pub use crate::tenant::POOLED as PREFIX;

/// One schema of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    /// Where it stands.
    pub pinned: Pinned,
    /// Whether it was looked at since it was built, and may be handed out.
    pub is_ready: bool,
}

/// All of a shard's, by name.
pub async fn list(connection: &mut Connection) -> Result<Vec<Pooled>, StoreError> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "select h.schema_name, p.schema_name is not null
           from tenantry.heads h left join tenantry.pool p on p.schema_name = h.schema_name
          where starts_with(h.schema_name, 'tenantry_pool_')
          order by h.schema_name",
    )
    .fetch_all(&mut *connection)
    .answered(StoreError::query("read which schemas are built ahead"))
    .await?;
    let names: Vec<_> = rows.iter().map(|(name, _)| name.as_str()).collect();
    let mut heads = super::heads::of(connection, &names).await?;
    let pooled = rows.iter().filter_map(|(name, is_ready)| {
        // One that was handed out in between has another name.
        let at = heads
            .iter()
            .position(|pinned| pinned.head.schema == *name)?;
        Some(Pooled {
            pinned: heads.swap_remove(at),
            is_ready: *is_ready,
        })
    });
    Ok(pooled.collect())
}

/// Makes an empty schema for the pool. Its name; none where there are `most` already.
pub async fn make(connection: &mut Connection, most: usize) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("select tenantry.pool_make($1)")
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .answered(StoreError::query("make a schema ahead"))
        .await
}

/// Gives a schema of the pool that stands there the name of a new tenant. Its OID; none where there is no such schema, or
/// the name is taken.
pub async fn hand_out(
    connection: &mut Connection,
    name: &Ident,
    digest: Digest,
    repeatables: Digest,
) -> Result<Option<u32>, StoreError> {
    let given: Result<Option<Oid>, _> =
        sqlx::query_scalar("select tenantry.pool_hand_out($1, $2, $3)")
            .bind(name.as_str())
            .bind(digest.0.as_slice())
            .bind(repeatables.0.as_slice())
            .fetch_one(connection)
            .answered(|error| error)
            .await;
    match given {
        Ok(oid) => Ok(oid.map(|oid| oid.0)),
        // Somebody else has made a schema of that name at the same moment.
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P06" | "23505")) =>
        {
            Ok(None)
        }
        Err(error) => Err(StoreError::query("hand out a schema that was built ahead")(
            error,
        )),
    }
}

/// Lets a schema be handed out to a tenant that is to stand there. False where it does not, or is of the pool no more.
pub async fn offer(
    connection: &mut Connection,
    schema_oid: u32,
    digest: Digest,
    repeatables: Digest,
) -> Result<bool, StoreError> {
    let offered = sqlx::query(
        "insert into tenantry.pool (schema_name)
         select h.schema_name from tenantry.heads h
          where h.schema_oid = $1 and starts_with(h.schema_name, 'tenantry_pool_')
            and h.digest = $2 and h.repeatables_digest = $3
         on conflict (schema_name) do update set ready_at = clock_timestamp()",
    )
    .bind(Oid(schema_oid))
    .bind(digest.0.as_slice())
    .bind(repeatables.0.as_slice())
    .execute(connection)
    .answered(StoreError::query("let a schema be handed out"))
    .await?;
    Ok(offered.rows_affected() == 1)
}

/// Lets a schema be handed out no more.
pub async fn withdraw(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    sqlx::query("delete from tenantry.pool where schema_name = $1")
        .bind(name)
        .execute(connection)
        .answered(StoreError::query("keep a schema from being handed out"))
        .await?;
    Ok(())
}

/// What holds the schema's name in a text, which another name would make wrong; none where nothing does.
pub async fn names_itself(
    connection: &mut Connection,
    schema_oid: u32,
    name: &str,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("select tenantry.pool_names_itself($1, $2)")
        .bind(Oid(schema_oid))
        .bind(name)
        .fetch_one(connection)
        .answered(StoreError::query("look for a schema's name in what it has"))
        .await
}

/// How many schemas of the pool may be handed out, to a tenant that is to stand where they do, of how many.
pub async fn count(connection: &mut Connection) -> Result<(i64, i64), StoreError> {
    sqlx::query_as(
        "select count(p.schema_name), count(*)
           from tenantry.heads h left join tenantry.pool p on p.schema_name = h.schema_name
          where starts_with(h.schema_name, 'tenantry_pool_')",
    )
    .fetch_one(connection)
    .answered(StoreError::query("count the schemas that are built ahead"))
    .await
}
