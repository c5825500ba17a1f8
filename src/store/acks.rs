//! `tenantry.acks`: contract migrations of which somebody said that no application needs any more what they take away.

use jiff_sqlx::Timestamp;
use sqlx::FromRow;

use super::{StoreError, rollouts::Told};
use crate::{
    migration::Version,
    postgres::{Answered, Connection},
};

/// That somebody said so.
#[derive(Debug, Clone, FromRow)]
pub struct Ack {
    /// The migration.
    pub version: String,
    /// Who said it.
    pub who: String,
    /// Why.
    pub why: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// All of them.
pub async fn list(connection: &mut Connection) -> Result<Vec<Ack>, StoreError> {
    sqlx::query_as("select version, who, why, at from tenantry.acks order by at, version")
        .fetch_all(connection)
        .answered(StoreError::query("read which contracts are released"))
        .await
}

/// Says so, together with the event that tells of it. False where it was said before.
pub async fn ack(
    connection: &mut Connection,
    version: Version,
    told: &Told<'_>,
) -> Result<bool, StoreError> {
    let said = sqlx::query(
        "with said as (
             insert into tenantry.acks (version, who, why) values ($1, $2, $4) on conflict do nothing returning version
         )
         insert into tenantry.events (who, action, why)
         select $2, $3 || ' ' || version, $4 from said",
    )
    .bind(version.to_string())
    .bind(told.who)
    .bind(told.action)
    .bind(told.why)
    .execute(connection)
    .answered(StoreError::query("release a contract"))
    .await?;
    Ok(said.rows_affected() == 1)
}
