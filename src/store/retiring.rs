//! `tenantry.tenants` once more: those that are being retired, who can be had back, and who is to be dropped when.

use std::time::Duration;

use jiff::Timestamp;

use super::{StoreError, daemons::interval};
use crate::{
    postgres::{Answered, Connection},
    tenant::{TenantName, TenantState},
};

/// Where a tenant is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retiring {
    /// Whether it can be had back.
    pub is_whole: bool,
    /// When a daemon drops it; none where whoever retires it does.
    pub drop_after: Option<Timestamp>,
}

/// Begins to retire a tenant that is in this state. With a `grace` a daemon drops it after that; where it is being retired
/// already and can be had back, after so long from now on. False where it is not in that state, or cannot be had back.
pub async fn begin(
    connection: &mut Connection,
    name: &TenantName,
    from: TenantState,
    grace: Option<Duration>,
) -> Result<bool, StoreError> {
    let begun = sqlx::query(
        "update tenantry.tenants
            set state = 'retiring', drop_after = clock_timestamp() + $3,
                retired_from = case state when 'retiring' then retired_from else state end, updated_at = clock_timestamp()
          where name = $1 and state = $2 and (state <> 'retiring' or retired_from is not null)",
    )
    .bind(name.as_str())
    .bind(from.as_str())
    .bind(grace.map(interval))
    .execute(connection)
    .answered(StoreError::query("begin to retire a tenant"))
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Has a tenant back, in the state that it had. False where it cannot be had back.
pub async fn take_back(connection: &mut Connection, name: &TenantName) -> Result<bool, StoreError> {
    let taken = sqlx::query(
        "update tenantry.tenants
            set state = retired_from, retired_from = null, drop_after = null, dropper = null, updated_at = clock_timestamp()
          where name = $1 and state = 'retiring' and retired_from is not null",
    )
    .bind(name.as_str())
    .execute(connection)
    .answered(StoreError::query("have a tenant back"))
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// From here on a tenant cannot be had back. False where it is not being retired any more.
pub async fn seal(connection: &mut Connection, name: &TenantName) -> Result<bool, StoreError> {
    let sealed = sqlx::query(
        "update tenantry.tenants set retired_from = null, updated_at = clock_timestamp()
          where name = $1 and state = 'retiring'",
    )
    .bind(name.as_str())
    .execute(connection)
    .answered(StoreError::query("begin to drop a tenant"))
    .await?;
    Ok(sealed.rows_affected() == 1)
}

/// Where a tenant is on its way out; none where it is not on it.
pub async fn get(
    connection: &mut Connection,
    name: &TenantName,
) -> Result<Option<Retiring>, StoreError> {
    let row: Option<(bool, Option<jiff_sqlx::Timestamp>)> = sqlx::query_as(
        "select retired_from is not null, drop_after from tenantry.tenants where name = $1 and state = 'retiring'",
    )
    .bind(name.as_str())
    .fetch_optional(connection)
    .answered(StoreError::query("read until when a tenant can be had back"))
    .await?;
    Ok(row.map(|(is_whole, drop_after)| Retiring {
        is_whole,
        drop_after: drop_after.map(jiff_sqlx::Timestamp::to_jiff),
    }))
}

/// Claims those whose time is over, for a daemon that lives: what a dead one was dropping is among them.
pub async fn claim(
    connection: &mut Connection,
    daemon: i64,
) -> Result<Vec<TenantName>, StoreError> {
    let names: Vec<String> = sqlx::query_scalar(
        "with due as materialized (
             select t.ctid as place from tenantry.tenants t
              where t.drop_after <= clock_timestamp()
                and exists (select from tenantry.daemons d where d.id = $1 and d.expires_at > clock_timestamp())
                and not exists (select from tenantry.daemons d
                                 where d.id = t.dropper and d.id <> $1 and d.expires_at > clock_timestamp())
                for update of t skip locked
         )
         update tenantry.tenants t set dropper = $1 from due d where t.ctid = d.place
         returning t.name",
    )
    .bind(daemon)
    .fetch_all(connection)
    .answered(StoreError::query("claim tenants that are to be dropped"))
    .await?;
    let name = |name: String| {
        TenantName::new(name.clone()).map_err(|_| StoreError::Unreadable {
            table: "tenants",
            value: name,
            expected: "a tenant's name",
        })
    };
    names.into_iter().map(name).collect()
}
