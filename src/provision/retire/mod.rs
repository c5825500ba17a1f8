//! Taking a tenant away: its schema is dropped piece by piece, its history stays in the log.

mod drop;

pub(super) use drop::drop_schema;

use super::ProvisionError;
use crate::{
    fleet::Fleet,
    history::Head,
    postgres::Session,
    sql::Ident,
    store::{
        heads::{self, Pinned},
        tenants,
    },
    tenant::{TenantName, TenantState},
};

/// Drops a tenant's schema and forgets the tenant. Can be repeated after an interruption, wherever that was.
///
/// # Errors
/// Among others: something of another schema would be dropped as well. Then nothing is changed.
pub async fn retire(fleet: &Fleet, name: &TenantName) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let tenant = tenants::get(home.connection(), name)
        .await?
        .ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
    let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
    // Before the registry says anything: a tenant that cannot be dropped stays what it is.
    let head = head_to_drop(&mut session, name.schema()).await?;
    if let Some(head) = &head {
        refuse_outsiders(&mut session, head).await?;
    }
    let elsewhere = || ProvisionError::State {
        name: name.to_string(),
        state: tenant.state,
    };
    match tenant.state {
        TenantState::Retiring => {}
        TenantState::Renaming => return Err(elsewhere()),
        from => {
            let to = TenantState::Retiring;
            if !tenants::set_state(home.connection(), name, from, to).await? {
                return Err(elsewhere());
            }
        }
    }
    // Again, since somebody may just have been building it: whoever makes the schema later than this sees the registry's
    // word after it, and takes it away.
    let head = match head {
        None => head_to_drop(&mut session, name.schema()).await?,
        head => head,
    };
    if let Some(head) = head {
        drop_schema(&mut session, fleet, &head, name.schema()).await?;
    }
    tenants::delete(home.connection(), name).await?;
    session.close().await;
    home.close().await;
    Ok(())
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
