//! Taking a tenant away: its schema is dropped, its history stays in the log.

use super::{ProvisionError, schema::failed};
use crate::{
    fleet::Fleet,
    history::Head,
    postgres::{Fault, Message, Outcome, Session},
    sql::{Ident, Literal},
    store::{
        heads::{self, Pinned},
        tenants,
    },
    tenant::{TenantName, TenantState},
};

/// Drops a tenant's schema and forgets the tenant. Can be repeated after an interruption.
pub async fn retire(fleet: &Fleet, name: &TenantName) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let tenant = tenants::get(home.connection(), name)
        .await?
        .ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
    let mut session = fleet.shard(fleet.shard_of(&tenant)?).await?;
    // Before the registry says anything: a tenant that cannot be dropped stays what it is.
    let head = head_to_drop(&mut session, name.schema()).await?;
    if tenant.state != TenantState::Retiring
        && !tenants::set_state(home.connection(), name, tenant.state, TenantState::Retiring).await?
    {
        return Err(ProvisionError::State {
            name: name.to_string(),
            state: tenant.state,
        });
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

/// Drops the schema and its head in one transaction, guarded as any other message is.
pub(super) async fn drop_schema(
    session: &mut Session,
    fleet: &Fleet,
    head: &Head,
    schema: &Ident,
) -> Result<(), ProvisionError> {
    // An Ident holds no NUL.
    let name = Literal::new(schema.as_str())
        .map(|name| name.to_string())
        .unwrap_or_default();
    // A tenant that stopped half-way may be retired as well: `enter` would refuse it. Not without need, since it waits for
    // the row.
    let clear = match (head.dirty, head.running) {
        (None, None) => String::new(),
        _ => format!(
            "UPDATE tenantry.heads SET dirty_version = NULL, running_version = NULL, running_direction = NULL
              WHERE schema_oid = {0};
             UPDATE tenantry.history SET state = 'failed', finished_at = pg_catalog.clock_timestamp()
              WHERE schema_oid = {0} AND schema_name = {name} AND state = 'running';",
            head.schema_oid
        ),
    };
    let message = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
         SET LOCAL lock_timeout = {lock_timeout};
         {clear}
         CALL tenantry.enter({oid}, {name}, {revision}, {fence});
         DROP SCHEMA {schema} CASCADE;
         DELETE FROM tenantry.heads WHERE schema_oid = {oid};
         COMMIT;
         RESET ALL;",
        // 0 would be no limit: whoever uses the schema would then wait behind us.
        lock_timeout = fleet.limits.lock_timeout.as_millis().max(1),
        oid = head.schema_oid,
        revision = head.revision,
        fence = head.fence,
    );
    match session.send(&Message::vouched(message)).await? {
        Outcome::Done => Ok(()),
        Outcome::Refused { error, .. }
            if matches!(Fault::of(&error.code), Fault::Busy | Fault::Stale) =>
        {
            Err(ProvisionError::Busy(schema.as_str().to_owned()))
        }
        // Not one of us: whoever uses the tables holds locks on them.
        Outcome::Refused { error, .. } if Fault::of(&error.code) == Fault::Retry => {
            Err(ProvisionError::InUse(schema.as_str().to_owned()))
        }
        Outcome::Refused { error, .. } => Err(failed("drop a tenant's schema", error).into()),
    }
}
