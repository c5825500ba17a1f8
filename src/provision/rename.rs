//! Giving a tenant another name: in the registry, and to its schema, its head and its history.
//!
//! The registry notes the new name first, and takes it last. What is cut off in between is finished by the same again:
//! until then nobody moves the tenant, under either name.

use super::{
    ProvisionError,
    guarded::{Waits, guarded, literal, seize},
    schema::require_free,
};
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    postgres::{Fault, Message, Session},
    sql::Ident,
    store::{
        StoreError,
        heads::{self, Pinned},
        tenants::{self, Tenant},
    },
    tenant::{TenantName, TenantState},
};

/// Renames a tenant and its schema. What refers to the schema by its name in a text (a function's body, a role's search
/// path, an application) is neither seen nor changed.
///
/// # Errors
/// Among others: the name is taken, or somebody was at work on the schema for too long. Then the same again goes on, and
/// the old name as the new one leaves the tenant as it was, as long as its schema has the old name.
pub async fn rename(
    fleet: &Fleet,
    old: &TenantName,
    new: &TenantName,
) -> Result<(), ProvisionError> {
    if new.schema() == &fleet.shared_schema {
        return Err(ProvisionError::SharedName(new.to_string()));
    }
    let mut home = fleet.home().await?;
    let tenant = tenants::get(home.connection(), old)
        .await?
        .ok_or_else(|| ProvisionError::Unknown(old.to_string()))?;
    let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
    if tenant.state == TenantState::Renaming && new == old {
        cancel(&mut home, &mut session, fleet, old).await?;
        session.close().await;
        home.close().await;
        return Ok(());
    }
    begin(&mut home, &mut session, &tenant, new).await?;
    match on_shard(&mut session, fleet, old, new).await {
        Ok(()) => {}
        // The server has refused it, so nothing was done there and the name can stay.
        Err(error) if is_refused(&error) => {
            tenants::cancel_rename(home.connection(), old, new.as_str()).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    // Somebody else may have finished it.
    if !tenants::end_rename(home.connection(), old, new).await?
        && tenants::get(home.connection(), new).await?.is_none()
    {
        return Err(ProvisionError::Unknown(old.to_string()));
    }
    session.close().await;
    home.close().await;
    Ok(())
}

/// Leaves a tenant its name, where its schema still has it.
async fn cancel(
    home: &mut Session,
    session: &mut Session,
    fleet: &Fleet,
    name: &TenantName,
) -> Result<(), ProvisionError> {
    let Some(new) = tenants::new_name(home.connection(), name).await? else {
        return Ok(());
    };
    // Waits for whoever is just renaming it, and refuses when that was done.
    let pinned = heads::get(session.connection(), name.schema()).await?;
    let renamed = |_| ProvisionError::BeingRenamed {
        name: name.to_string(),
        to: new.clone(),
    };
    let head = intact(session, pinned, name).await.map_err(renamed)?;
    seize(session, &fleet.limits, &head, name.schema(), false).await?;
    let pinned = heads::get(session.connection(), name.schema()).await?;
    intact(session, pinned, name).await.map_err(renamed)?;
    tenants::cancel_rename(home.connection(), name, &new).await?;
    Ok(())
}

/// Notes the new name, unless that was done before.
async fn begin(
    home: &mut Session,
    session: &mut Session,
    tenant: &Tenant,
    new: &TenantName,
) -> Result<(), ProvisionError> {
    let old = &tenant.name;
    match tenant.state {
        TenantState::Renaming => {
            let to = tenants::new_name(home.connection(), old).await?;
            return match to {
                Some(to) if to != new.as_str() => Err(ProvisionError::BeingRenamed {
                    name: old.to_string(),
                    to,
                }),
                _ => Ok(()),
            };
        }
        TenantState::Active | TenantState::Suspended => {}
        state => {
            return Err(ProvisionError::State {
                name: old.to_string(),
                state,
            });
        }
    }
    if tenants::get(home.connection(), new).await?.is_some() {
        return Err(ProvisionError::Taken(new.to_string()));
    }
    require_free(session, &tenant.shard, new.schema()).await?;
    let pinned = heads::get(session.connection(), old.schema()).await?;
    intact(session, pinned, old).await?;
    if !tenants::begin_rename(home.connection(), old, tenant.state, new).await? {
        return Err(ProvisionError::Taken(new.to_string()));
    }
    Ok(())
}

/// Renames the schema, its head and its history, unless that was done before.
async fn on_shard(
    session: &mut Session,
    fleet: &Fleet,
    old: &TenantName,
    new: &TenantName,
) -> Result<(), ProvisionError> {
    let pinned = heads::get(session.connection(), old.schema()).await?;
    let renamed = heads::get(session.connection(), new.schema()).await?;
    match (pinned, renamed) {
        (None, Some(renamed)) if renamed.is_intact() => return Ok(()),
        // Left by a schema that was dropped by hand; its history stays in the log.
        (_, Some(stale)) if stale.present.is_none() => {
            heads::forget(session.connection(), stale.head.schema_oid).await?;
        }
        _ => {}
    }
    let pinned = heads::get(session.connection(), old.schema()).await?;
    let head = intact(session, pinned, old).await?;
    let message = |waits| message(&head, old.schema(), new.schema(), waits);
    let doing = "rename a tenant's schema";
    guarded(session, &fleet.limits, old.schema(), message, doing).await?;
    Ok(())
}

/// One transaction: nobody is at work on the schema, and nobody who has planned for it can move it afterwards.
fn message(head: &Head, old: &Ident, new: &Ident, waits: Waits) -> Message {
    Message::vouched(format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         {waits}
         SELECT tenantry.seize({oid}, {old_name}, false);
         ALTER SCHEMA {old} RENAME TO {new};
         UPDATE tenantry.heads SET schema_name = {new_name} WHERE schema_oid = {oid};
         UPDATE tenantry.history SET schema_name = {new_name} WHERE schema_oid = {oid} AND schema_name = {old_name};
         COMMIT;
         RESET ALL;",
        oid = head.schema_oid,
        old_name = literal(old),
        new_name = literal(new),
    ))
}

/// The head, where the schema is the one that was made for the tenant.
async fn intact(
    session: &mut Session,
    pinned: Option<Pinned>,
    name: &TenantName,
) -> Result<Head, ProvisionError> {
    let schema = || name.to_string();
    if let Some(pinned) = &pinned
        && pinned.is_intact()
    {
        return Ok(pinned.head.clone());
    }
    let present = heads::present_oid(session.connection(), name.schema()).await?;
    Err(match (pinned.and_then(|pinned| pinned.present), present) {
        (_, Some(_)) => ProvisionError::MadeAnew { schema: schema() },
        (Some(now), None) => ProvisionError::Renamed {
            schema: schema(),
            now,
        },
        (None, None) => ProvisionError::Absent { schema: schema() },
    })
}

/// Whether the server has said no, and would say so again.
fn is_refused(error: &ProvisionError) -> bool {
    matches!(
        error,
        ProvisionError::Fleet(FleetError::Store(StoreError::Query { error, .. }))
            if !error.code.is_empty() && Fault::of(error) == Fault::Tenant
    )
}
