//! `tenantry.tenants`: the registry, in the home database.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};

use super::StoreError;
use crate::postgres::Answered;
use crate::tenant::{ShardName, TenantName, TenantState};

/// Free words on a tenant, such as `tier=free`.
pub type Labels = BTreeMap<String, String>;

/// One registered tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tenant {
    /// Its name, and its schema's.
    pub name: TenantName,
    /// The database that holds it.
    pub shard: ShardName,
    /// Where it is in its life.
    pub state: TenantState,
    /// Free words.
    pub labels: Labels,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// All tenants, by name.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<Tenant>, StoreError> {
    let rows = sqlx::query(
        "select name, shard, state, labels, created_at from tenantry.tenants order by name",
    )
    .fetch_all(connection)
    .answered(StoreError::query("read the tenants"))
    .await?;
    rows.iter().map(tenant).collect()
}

/// The tenants in one state, those first that were registered first.
pub async fn in_state(
    connection: &mut PgConnection,
    state: TenantState,
) -> Result<Vec<Tenant>, StoreError> {
    let rows = sqlx::query(
        "select name, shard, state, labels, created_at from tenantry.tenants where state = $1 order by created_at, name",
    )
    .bind(state.as_str())
    .fetch_all(connection)
    .answered(StoreError::query("read the tenants of a state"))
.await?;
    rows.iter().map(tenant).collect()
}

/// One tenant.
pub async fn get(
    connection: &mut PgConnection,
    name: &TenantName,
) -> Result<Option<Tenant>, StoreError> {
    let row = sqlx::query(
        "select name, shard, state, labels, created_at from tenantry.tenants where name = $1",
    )
    .bind(name.as_str())
    .fetch_optional(connection)
    .answered(StoreError::query("read a tenant"))
    .await?;
    row.as_ref().map(tenant).transpose()
}

/// Registers a tenant. False when the name is taken.
pub async fn insert(
    connection: &mut PgConnection,
    name: &TenantName,
    shard: &ShardName,
    state: TenantState,
    labels: &Labels,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "insert into tenantry.tenants (name, shard, state, labels) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(name.as_str())
    .bind(shard.as_str())
    .bind(state.as_str())
    .bind(Json(labels))
    .execute(connection)
    .answered(StoreError::query("register a tenant"))
.await?;
    Ok(inserted.rows_affected() == 1)
}

/// Moves a tenant on in its life. False when it is not in the state that was expected.
pub async fn set_state(
    connection: &mut PgConnection,
    name: &TenantName,
    from: TenantState,
    to: TenantState,
) -> Result<bool, StoreError> {
    let moved =
        sqlx::query("update tenantry.tenants set state = $3, updated_at = clock_timestamp() where name = $1 and state = $2")
            .bind(name.as_str())
            .bind(from.as_str())
            .bind(to.as_str())
            .execute(connection)
            .answered(StoreError::query("change a tenant's state"))
.await?;
    Ok(moved.rows_affected() == 1)
}

/// Forgets a tenant that is being retired.
pub async fn delete(connection: &mut PgConnection, name: &TenantName) -> Result<bool, StoreError> {
    let gone = sqlx::query("delete from tenantry.tenants where name = $1 and state = 'retiring'")
        .bind(name.as_str())
        .execute(connection)
        .answered(StoreError::query("forget a tenant"))
        .await?;
    Ok(gone.rows_affected() == 1)
}

fn tenant(row: &PgRow) -> Result<Tenant, StoreError> {
    let failed = StoreError::query("read a tenant");
    let unreadable = |value: String, expected| StoreError::Unreadable {
        table: "tenants",
        value,
        expected,
    };
    let name: String = row.try_get("name").map_err(&failed)?;
    let state: String = row.try_get("state").map_err(&failed)?;
    let state = match state.as_str() {
        "provisioning" => TenantState::Provisioning,
        "active" => TenantState::Active,
        "suspended" => TenantState::Suspended,
        "retiring" => TenantState::Retiring,
        _ => return Err(unreadable(state, "a tenant's state")),
    };
    Ok(Tenant {
        name: TenantName::new(name.clone()).map_err(|_| unreadable(name, "a tenant's name"))?,
        shard: ShardName::new(row.try_get::<String, _>("shard").map_err(&failed)?),
        state,
        labels: row.try_get::<Json<Labels>, _>("labels").map_err(&failed)?.0,
        created_at: row
            .try_get::<jiff_sqlx::Timestamp, _>("created_at")
            .map_err(&failed)?
            .to_jiff(),
    })
}
