//! A new tenant: registered, its schema made, every migration applied; usable when this returns.

use std::collections::BTreeMap;

use super::{ProvisionError, schema::tenant_schema};
use crate::{
    apply::{Carrier, Cut, compile},
    fleet::Fleet,
    history::Digest,
    plan::{Goal, Standing, Stored, plan},
    postgres::Fault,
    store::{
        scripts,
        tenants::{self, Labels, Tenant},
    },
    tenant::{ShardName, TenantName, TenantState},
};

/// So often a schema is looked at that somebody else is building too.
const LOOKS: usize = 5;

/// Registers a tenant on `shard` and builds its schema. The registry says *provisioning* until all of it is done.
pub async fn add(
    fleet: &Fleet,
    name: &TenantName,
    shard: &ShardName,
    labels: &Labels,
) -> Result<Tenant, ProvisionError> {
    let mut home = fleet.home().await?;
    let new = tenants::insert(
        home.connection(),
        name,
        shard,
        TenantState::Provisioning,
        labels,
    )
    .await?;
    let tenant = tenants::get(home.connection(), name).await?;
    home.close().await;
    match tenant {
        // Left behind by somebody who was interrupted: go on where they stopped.
        Some(tenant) if new || tenant.state == TenantState::Provisioning => {
            resume(fleet, &tenant).await
        }
        _ => Err(ProvisionError::Taken(name.to_string())),
    }
}

/// Builds the schema of a tenant in state *provisioning*, from wherever that stopped. Several may do so at once.
pub async fn resume(fleet: &Fleet, tenant: &Tenant) -> Result<Tenant, ProvisionError> {
    for _ in 1..LOOKS {
        match build(fleet, tenant).await {
            // Somebody else has moved it: look again how much is left.
            Err(ProvisionError::Failed(failure)) if failure.fault == Fault::Stale => {}
            ended => return ended,
        }
    }
    build(fleet, tenant).await
}

async fn build(fleet: &Fleet, tenant: &Tenant) -> Result<Tenant, ProvisionError> {
    let shard = fleet.shard_of(tenant)?;
    let mut session = fleet.shard(shard).await?;
    let head = tenant_schema(&mut session, &shard.name, tenant.name.schema()).await?;
    let applied = match head.digest {
        Digest::EMPTY => Vec::new(),
        _ => crate::store::history::applied(session.connection(), head.schema_oid).await?,
    };
    let standing = Standing {
        applied: &applied,
        repeatables: head.repeatables,
    };
    let plan = plan(
        &fleet.tenant,
        standing,
        Goal::Latest,
        &Stored::new(),
        fleet.out_of_order,
    )?;
    let texts: BTreeMap<_, _> = plan
        .steps
        .iter()
        .flat_map(|step| [Some(&step.script), step.down.as_ref()])
        .flatten()
        .map(|script| (script.checksum, script.as_ref()))
        .collect();
    scripts::put(session.connection(), texts.into_values()).await?;
    let mut carrier = Carrier::with_session(shard, &fleet.limits, session);
    let carried = carrier
        .carry(&plan, &compile(&plan, &fleet.limits, Cut::Coarse), &head)
        .await;
    carrier.close().await;
    if let Some(failure) = carried.failure {
        return Err(ProvisionError::Failed(Box::new(failure)));
    }
    let mut home = fleet.home().await?;
    tenants::set_state(
        home.connection(),
        &tenant.name,
        TenantState::Provisioning,
        TenantState::Active,
    )
    .await?;
    home.close().await;
    Ok(Tenant {
        state: TenantState::Active,
        ..tenant.clone()
    })
}
