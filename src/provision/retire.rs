//! Taking a tenant away: its schema is dropped, its history stays in the log.

use super::{ProvisionError, schema::failed};
use crate::{
    fleet::Fleet,
    history::Head,
    postgres::{Fault, Outcome, Session},
    sql::{Ident, Literal},
    store::{heads, tenants},
    tenant::{TenantName, TenantState},
};

/// Drops a tenant's schema and forgets the tenant. Can be repeated after an interruption.
pub async fn retire(fleet: &Fleet, name: &TenantName) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let tenant = tenants::get(home.connection(), name)
        .await?
        .ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
    if tenant.state != TenantState::Retiring
        && !tenants::set_state(home.connection(), name, tenant.state, TenantState::Retiring).await?
    {
        return Err(ProvisionError::State {
            name: name.to_string(),
            state: tenant.state,
        });
    }
    let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
    match heads::get(session.connection(), name.schema()).await? {
        Some(pinned) if pinned.is_intact() => {
            drop_schema(&mut session, &pinned.head, name.schema()).await?
        }
        // Dropped by hand, or never made: there is only the memory of it to take away.
        Some(pinned) if pinned.present.is_none() => {
            heads::forget(session.connection(), pinned.head.schema_oid).await?;
        }
        Some(_) => {
            return Err(ProvisionError::State {
                name: name.to_string(),
                state: tenant.state,
            });
        }
        None => {}
    }
    tenants::delete(home.connection(), name).await?;
    session.close().await;
    home.close().await;
    Ok(())
}

/// Drops the schema and its head in one transaction, guarded as any other message is.
async fn drop_schema(
    session: &mut Session,
    head: &Head,
    schema: &Ident,
) -> Result<(), ProvisionError> {
    // An Ident holds no NUL.
    let name = Literal::new(schema.as_str())
        .map(|name| name.to_string())
        .unwrap_or_default();
    // A dirty tenant may be retired as well: `enter` would refuse it.
    let message = format!(
        "BEGIN;
         UPDATE tenantry.heads SET dirty_version = NULL WHERE schema_oid = {oid};
         SELECT tenantry.enter({oid}, {name}, {revision}, {fence});
         DROP SCHEMA {schema} CASCADE;
         DELETE FROM tenantry.heads WHERE schema_oid = {oid};
         COMMIT;
         RESET ALL;",
        oid = head.schema_oid,
        revision = head.revision,
        fence = head.fence,
    );
    match session.send(message).await? {
        Outcome::Done => Ok(()),
        Outcome::Refused { error, .. } if Fault::of(&error.code) == Fault::Busy => {
            Err(ProvisionError::Busy(schema.as_str().to_owned()))
        }
        Outcome::Refused { error, .. } => Err(failed("drop a tenant's schema", error).into()),
    }
}
