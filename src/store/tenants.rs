//! `tenantry.tenants`: the registry, in the home database.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sqlx::{Row, postgres::PgRow, types::Json};

use super::StoreError;
use crate::{
    postgres::{Answered, Connection},
    tenant::{ShardName, TenantName, TenantState},
};

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
pub async fn list(connection: &mut Connection) -> Result<Vec<Tenant>, StoreError> {
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
    connection: &mut Connection,
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

/// So many of the tenants that were registered after `since`, and until `until` where that is given, by when they were.
pub async fn registered(
    connection: &mut Connection,
    since: Timestamp,
    until: Option<Timestamp>,
    most: i64,
) -> Result<Vec<Tenant>, StoreError> {
    let rows = sqlx::query(
        "select name, shard, state, labels, created_at from tenantry.tenants
          where created_at > $1 and created_at <= coalesce($2, 'infinity')
          order by created_at, name limit $3",
    )
    .bind(jiff_sqlx::Timestamp::from(since))
    .bind(until.map(jiff_sqlx::Timestamp::from))
    .bind(most)
    .fetch_all(connection)
    .answered(StoreError::query("read who was registered meanwhile"))
    .await?;
    rows.iter().map(tenant).collect()
}

/// How many tenants of a shard were registered within so long, and are registered still.
pub async fn new_within(
    connection: &mut Connection,
    shard: &ShardName,
    time: Duration,
) -> Result<usize, StoreError> {
    let new: i64 = sqlx::query_scalar(
        "select count(*) from tenantry.tenants where shard = $1 and created_at > clock_timestamp() - $2",
    )
    .bind(shard.as_str())
    .bind(super::daemons::interval(time))
    .fetch_one(connection)
    .answered(StoreError::query("count the new tenants"))
    .await?;
    Ok(usize::try_from(new).unwrap_or_default())
}

/// One tenant.
pub async fn get(
    connection: &mut Connection,
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

/// Registers a tenant. False when the name is taken, or is about to be by a tenant that is being renamed.
pub async fn insert(
    connection: &mut Connection,
    name: &TenantName,
    shard: &ShardName,
    state: TenantState,
    labels: &Labels,
) -> Result<bool, StoreError> {
    let inserted = sqlx::query(
        "insert into tenantry.tenants (name, shard, state, labels)
         select $1, $2, $3, $4
          where not exists (select from tenantry.tenants where new_name = $1)
             on conflict do nothing",
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
    connection: &mut Connection,
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

/// Sets labels on tenants, and takes others away. Gives those tenants with the labels that they have then, by name.
pub async fn label(
    connection: &mut Connection,
    names: &[&str],
    set: &Labels,
    remove: &[String],
) -> Result<Vec<Tenant>, StoreError> {
    let rows = sqlx::query(
        "with labelled as (
             update tenantry.tenants set labels = (labels || $2) - $3::text[], updated_at = clock_timestamp()
              where name = any($1)
             returning name, shard, state, labels, created_at
         )
         select * from labelled order by name",
    )
    .bind(names)
    .bind(Json(set))
    .bind(remove)
    .fetch_all(connection)
    .answered(StoreError::query("label tenants"))
    .await?;
    rows.iter().map(tenant).collect()
}

/// Notes that a tenant is about to have another name. False when it is not in the state that was expected, or the name is
/// taken.
pub async fn begin_rename(
    connection: &mut Connection,
    name: &TenantName,
    state: TenantState,
    new: &TenantName,
) -> Result<bool, StoreError> {
    let begun = sqlx::query(
        "update tenantry.tenants
            set state = 'renaming', new_name = $3, after = state, updated_at = clock_timestamp()
          where name = $1 and state = $2
            and not exists (select from tenantry.tenants where name = $3 or new_name = $3)",
    )
    .bind(name.as_str())
    .bind(state.as_str())
    .bind(new.as_str())
    .execute(connection)
    .answered(|error| error)
    .await;
    match begun {
        Ok(begun) => Ok(begun.rows_affected() == 1),
        // Two for the same name at the same moment.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(StoreError::query("begin to rename a tenant")(error)),
    }
}

/// The name that a tenant is about to have; none when it is not being renamed.
pub async fn new_name(
    connection: &mut Connection,
    name: &TenantName,
) -> Result<Option<String>, StoreError> {
    let row: Option<Option<String>> =
        sqlx::query_scalar("select new_name from tenantry.tenants where name = $1")
            .bind(name.as_str())
            .fetch_optional(connection)
            .answered(StoreError::query("read a tenant's new name"))
            .await?;
    Ok(row.flatten())
}

/// The tenant that is about to have this name; none where nobody is.
pub async fn promised_to(
    connection: &mut Connection,
    new: &TenantName,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("select name from tenantry.tenants where new_name = $1")
        .bind(new.as_str())
        .fetch_optional(connection)
        .answered(StoreError::query("see who is about to have a name"))
        .await
}

/// Gives a tenant its new name, and the state that it had before; rollouts that are about it know it by that name then. False
/// when it is not being renamed to that.
pub async fn end_rename(
    connection: &mut Connection,
    name: &TenantName,
    new: &TenantName,
) -> Result<bool, StoreError> {
    let ended: i64 = sqlx::query_scalar(
        "with ended as (
             update tenantry.tenants
                set name = new_name, state = after, new_name = null, after = null, updated_at = clock_timestamp()
              where name = $1 and new_name = $2
             returning shard, created_at
         ), followed as (
             update tenantry.runs r set schema_name = $2
               from ended e join tenantry.rollouts o on o.begun_at > e.created_at
              where r.rollout = o.id and r.shard = e.shard and r.schema_name = $1
                and not exists (select from tenantry.runs other
                                 where other.rollout = r.rollout and other.wave = r.wave and other.shard = r.shard
                                   and other.schema_name = $2)
         )
         select count(*) from ended",
    )
    .bind(name.as_str())
    .bind(new.as_str())
    .fetch_one(connection)
    .answered(StoreError::query("rename a tenant"))
    .await?;
    Ok(ended == 1)
}

/// Takes back what [`begin_rename`] has noted. False when it is not being renamed to that.
pub async fn cancel_rename(
    connection: &mut Connection,
    name: &TenantName,
    new: &str,
) -> Result<bool, StoreError> {
    let cancelled = sqlx::query(
        "update tenantry.tenants set state = after, new_name = null, after = null, updated_at = clock_timestamp()
          where name = $1 and new_name = $2 and state = 'renaming'",
    )
    .bind(name.as_str())
    .bind(new)
    .execute(connection)
    .answered(StoreError::query("leave a tenant its name"))
    .await?;
    Ok(cancelled.rows_affected() == 1)
}

/// Forgets a tenant that is being retired.
pub async fn delete(connection: &mut Connection, name: &TenantName) -> Result<bool, StoreError> {
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
        "renaming" => TenantState::Renaming,
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
