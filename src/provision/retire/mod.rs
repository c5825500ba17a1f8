//! Taking a tenant away: its schema is dropped piece by piece, its history stays in the log.

mod drop;
mod hook;

pub(super) use drop::drop_schema;

use std::time::Duration;

use super::{ProvisionError, guarded::seize};
use crate::{
    fleet::Fleet,
    history::Head,
    postgres::Session,
    sql::Ident,
    store::{
        heads::{self, Pinned},
        retiring,
        tenants::{self, Tenant},
    },
    tenant::{TenantName, TenantState},
};

/// Drops a tenant's schema and forgets the tenant, once the program has run that the settings name for that. Can be repeated
/// after an interruption, wherever that was.
///
/// # Errors
/// Among others: something of another schema would be dropped as well, and nothing is changed; or that program failed, and
/// nothing is dropped: then [`unsuspend`](super::unsuspend) has the tenant back.
pub async fn retire(fleet: &Fleet, name: &TenantName) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let (tenant, mut session, head) = look(fleet, &mut home, name).await?;
    if tenant.state != TenantState::Retiring {
        begin(&mut home, &tenant, None).await?;
    }
    // Again, since somebody may just have been building it: whoever makes the schema later than this sees the registry's
    // word after it, and takes it away.
    let head = match head {
        None => head_to_drop(&mut session, name.schema()).await?,
        head => head,
    };
    // Not for what is left of one whose drop was cut off.
    let retiring = retiring::get(home.connection(), name).await?;
    if head.is_some() && retiring.is_some_and(|retiring| retiring.is_whole) {
        hook::run(&fleet.provision, &tenant).await?;
    }
    if !retiring::seal(home.connection(), name).await? {
        return Err(ProvisionError::Unknown(name.to_string()));
    }
    if let Some(head) = head {
        drop_schema(&mut session, fleet, &head, name.schema()).await?;
    }
    tenants::delete(home.connection(), name).await?;
    session.close().await;
    home.close().await;
    Ok(())
}

/// Takes a tenant out of use, for a daemon to drop its schema after `grace`; until then, [`unsuspend`](super::unsuspend) has
/// it back. When this returns, nobody is at work on it. Repeated, `grace` is from now on.
///
/// # Errors
/// As [`retire`].
pub async fn retire_later(
    fleet: &Fleet,
    name: &TenantName,
    grace: Duration,
) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let (tenant, mut session, head) = look(fleet, &mut home, name).await?;
    begin(&mut home, &tenant, Some(grace)).await?;
    if let Some(head) = head {
        seize(&mut session, &fleet.limits, &head, name.schema(), false).await?;
    }
    session.close().await;
    home.close().await;
    Ok(())
}

/// The tenant, its shard and its head. Refuses one that cannot be dropped, before the registry says anything: it stays what
/// it is.
async fn look(
    fleet: &Fleet,
    home: &mut Session,
    name: &TenantName,
) -> Result<(Tenant, Session, Option<Head>), ProvisionError> {
    let tenant = tenants::get(home.connection(), name)
        .await?
        .ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
    let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
    let head = head_to_drop(&mut session, name.schema()).await?;
    if let Some(head) = &head {
        refuse_outsiders(&mut session, head).await?;
    }
    Ok((tenant, session, head))
}

/// Notes that a tenant is being retired.
async fn begin(
    home: &mut Session,
    tenant: &Tenant,
    grace: Option<Duration>,
) -> Result<(), ProvisionError> {
    let (name, state) = (&tenant.name, tenant.state);
    if state != TenantState::Renaming
        && retiring::begin(home.connection(), name, state, grace).await?
    {
        return Ok(());
    }
    let name = name.to_string();
    Err(ProvisionError::State { name, state })
}

/// Refuses a schema of which others need something, before the first piece of it is gone.
async fn refuse_outsiders(session: &mut Session, head: &Head) -> Result<(), ProvisionError> {
    let outsiders = heads::outsiders(session.connection(), head.schema_oid).await?;
    if outsiders.is_empty() {
        return Ok(());
    }
    Err(ProvisionError::needed(&head.schema, outsiders))
}

/// The head of the schema to drop; none where there is no schema. Refuses to drop another schema than was made.
async fn head_to_drop(
    session: &mut Session,
    schema: &Ident,
) -> Result<Option<Head>, ProvisionError> {
    let name = || schema.as_str().to_owned();
    let pinned = heads::get(session.connection(), schema).await?;
    if let Some(pinned) = pinned.as_ref().filter(|pinned| pinned.is_intact()) {
        return Ok(Some(pinned.head.clone()));
    }
    if heads::present_oid(session.connection(), schema)
        .await?
        .is_some()
    {
        return Err(ProvisionError::MadeAnew { schema: name() });
    }
    match pinned {
        Some(Pinned {
            present: Some(now), ..
        }) => Err(ProvisionError::Renamed {
            schema: name(),
            now,
        }),
        // Dropped by hand: there is only the memory of it to take away.
        Some(pinned) => {
            heads::forget(session.connection(), pinned.head.schema_oid).await?;
            Ok(None)
        }
        // Never made.
        None => Ok(None),
    }
}
