//! Tenants left where they stand for a while.

use super::{ProvisionError, guarded::seize};
use crate::{
    fleet::Fleet,
    store::{
        heads::{self, Pinned},
        retiring,
        tenants::{self, Tenant},
    },
    tenant::TenantState,
};

/// Takes a tenant out of the fleet's moves: it stays where it stands. When this returns, nobody is at work on it, and a
/// process that has planned for it is refused. Can be repeated.
pub async fn suspend(fleet: &Fleet, tenant: &Tenant) -> Result<(), ProvisionError> {
    change(fleet, tenant, TenantState::Active, TenantState::Suspended).await?;
    let mut session = fleet.shard(fleet.shard_of(tenant)?).await?;
    let schema = tenant.name.schema();
    let pinned = heads::get(session.connection(), schema).await?;
    // Without a schema there is nothing that could be moved.
    if let Some(pinned) = pinned.filter(Pinned::is_intact) {
        seize(&mut session, &fleet.limits, &pinned.head, schema, false).await?;
    }
    session.close().await;
    Ok(())
}

/// Has a tenant moved with the fleet again: one that was suspended, or that is being retired and can be had back. It may be
/// behind by then: the next `up` applies what it lacks.
pub async fn unsuspend(fleet: &Fleet, tenant: &Tenant) -> Result<(), ProvisionError> {
    if tenant.state == TenantState::Retiring {
        let mut home = fleet.home().await?;
        retiring::take_back(home.connection(), &tenant.name).await?;
        let now = tenants::get(home.connection(), &tenant.name).await?;
        home.close().await;
        // It goes on being built.
        if now.is_some_and(|now| now.state == TenantState::Provisioning) {
            return Ok(());
        }
    }
    change(fleet, tenant, TenantState::Suspended, TenantState::Active).await
}

/// From one state to the other; nothing is to be done where it is in that already.
async fn change(
    fleet: &Fleet,
    tenant: &Tenant,
    from: TenantState,
    to: TenantState,
) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let changed = tenants::set_state(home.connection(), &tenant.name, from, to).await?;
    let now = match changed {
        true => Some(to),
        false => tenants::get(home.connection(), &tenant.name)
            .await?
            .map(|tenant| tenant.state),
    };
    home.close().await;
    let name = tenant.name.to_string();
    match now {
        Some(now) if now == to => Ok(()),
        Some(state) => Err(ProvisionError::State { name, state }),
        None => Err(ProvisionError::Unknown(name)),
    }
}
