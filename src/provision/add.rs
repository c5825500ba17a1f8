//! A new tenant: registered, its schema made, every migration applied; usable when this returns.

use super::{
    ProvisionError, goal, pool,
    retire::drop_schema,
    schema::{require_free, tenant_schema},
    shard::choose_shard,
    shared::require_shared,
    structure::{self, By},
};
use crate::{
    apply::{Audit, Carried, Carrier, Cut, compile},
    fleet::Fleet,
    history::{Digest, Head},
    plan::{Goal, Plan, Standing, Stored, plan},
    postgres::{Fault, Session, Shard},
    store::{
        heads, history, scripts,
        tenants::{self, Labels, Tenant},
    },
    tenant::{ShardName, TenantName, TenantState},
};

/// So often a schema is looked at that somebody else is building too.
const LOOKS: usize = 5;

/// A tenant that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Who.
    pub tenant: Tenant,
    /// What built it.
    pub built: By,
}

/// How far the building of one tenant has come, over all looks.
struct Building {
    /// The OID of the schema that we have made, once we have.
    made: Option<u32>,
    by: By,
}

/// Registers a tenant on `shard` and builds its schema: with all that the files have but contracts that nobody has released
/// or, while a rollout is under way, up to what that goes to. One that was built ahead is taken where there is one. The registry says *provisioning* until all
/// of it is done.
///
/// What can be refused is refused before anything is registered; what was interrupted is gone on with.
pub async fn add(
    fleet: &Fleet,
    name: &TenantName,
    shard: &ShardName,
    labels: &Labels,
) -> Result<Added, ProvisionError> {
    if name.schema() == &fleet.shared_schema {
        return Err(ProvisionError::SharedName(name.to_string()));
    }
    let on = choose_shard(fleet, Some(shard))?;
    let mut home = fleet.home().await?;
    let mut new = false;
    if tenants::get(home.connection(), name).await?.is_none() {
        let mut session = fleet.shard(on).await?;
        let bounded = goal::of_new(fleet, &mut home, (on, &mut session)).await?;
        require_shared(&bounded, &mut session, shard).await?;
        require_free(&mut session, shard, name.schema()).await?;
        let state = TenantState::Provisioning;
        // Somebody else may be quicker: then there are two who build, and the schema's own lock keeps them apart.
        new = tenants::insert(home.connection(), name, shard, state, labels).await?;
        if new && let Some(oid) = pool::hand_out(&mut session, &bounded, name.schema()).await {
            let built = By::Pool;
            let tenant = take(fleet, (&mut home, &mut session), name, oid).await?;
            return Ok(Added { tenant, built });
        }
        session.close().await;
    }
    let tenant = tenants::get(home.connection(), name).await?;
    home.close().await;
    match tenant {
        Some(tenant) if tenant.state == TenantState::Provisioning && tenant.shard == *shard => {
            resume(fleet, &tenant).await
        }
        // A daemon was quicker.
        Some(tenant) if new && tenant.state == TenantState::Active => Ok(Added {
            tenant,
            built: By::Another,
        }),
        Some(tenant) if tenant.state == TenantState::Provisioning => {
            Err(ProvisionError::Shard(format!(
                "tenant {name} was begun on shard {0}: go on there, with --shard {0}",
                tenant.shard
            )))
        }
        _ => Err(ProvisionError::Taken(name.to_string())),
    }
}

/// Builds the schema of a tenant in state *provisioning*, from wherever that stopped. Several may do so at once.
pub async fn resume(fleet: &Fleet, tenant: &Tenant) -> Result<Added, ProvisionError> {
    let mut building = Building {
        made: None,
        by: By::Migrations,
    };
    for _ in 1..LOOKS {
        match build(fleet, tenant, &mut building).await {
            // Somebody else has moved it: look again how much is left.
            Err(ProvisionError::Failed(failure)) if failure.fault == Fault::Stale => {}
            Err(ProvisionError::Busy(_)) => {}
            Err(error) => return Err(error),
            Ok(tenant) => return Ok(Added::of(tenant, building)),
        }
    }
    let tenant = build(fleet, tenant, &mut building).await?;
    Ok(Added::of(tenant, building))
}

impl Added {
    fn of(tenant: Tenant, building: Building) -> Self {
        let built = building.by;
        Self { tenant, built }
    }
}

/// One look at how much is left, and that.
async fn build(
    fleet: &Fleet,
    tenant: &Tenant,
    building: &mut Building,
) -> Result<Tenant, ProvisionError> {
    let shard = fleet.shard_of(tenant)?;
    let mut home = fleet.home().await?;
    let mut session = fleet.shard(shard).await?;
    let fleet = &*goal::of_new(fleet, &mut home, (shard, &mut session)).await?;
    home.close().await;
    require_shared(fleet, &mut session, &shard.name).await?;
    if let Some(oid) = pool::hand_out(&mut session, fleet, tenant.name.schema()).await {
        building.by = By::Pool;
        let mut home = fleet.home().await?;
        return take(fleet, (&mut home, &mut session), &tenant.name, oid).await;
    }
    let (head, is_new) = tenant_schema(&mut session, &shard.name, tenant.name.schema()).await?;
    if is_new {
        building.made = Some(head.schema_oid);
    }
    if let Err(error) = require_wanted(fleet, tenant).await {
        // Retired before its schema was there to be dropped: nobody else knows of it. One that we have not made may be
        // somebody's, just being imported: nothing is applied to such a one either.
        let is_ours = building.made == Some(head.schema_oid) && head.digest == Digest::EMPTY;
        if is_ours && is_unwanted(&error) {
            drop_schema(&mut session, fleet, &head, tenant.name.schema()).await?;
        }
        return Err(error);
    }
    complete(fleet, shard, session, &head, &mut building.by).await?;
    let mut home = fleet.home().await?;
    activate(&mut home, &tenant.name).await
}

/// Ends the work on a tenant whose schema, of this OID, was just handed out.
async fn take(
    fleet: &Fleet,
    (home, session): (&mut Session, &mut Session),
    name: &TenantName,
    oid: u32,
) -> Result<Tenant, ProvisionError> {
    let activated = activate(home, name).await;
    if activated.as_ref().is_err_and(is_unwanted) {
        // Retired before its schema was there to be dropped: nobody else knows of it.
        let pinned = heads::get(session.connection(), name.schema()).await?;
        if let Some(pinned) = pinned.filter(|pinned| pinned.head.schema_oid == oid) {
            drop_schema(session, fleet, &pinned.head, name.schema()).await?;
        }
    }
    activated
}

/// Carries to the schema of `head` all that it lacks, and ends the session.
pub(super) async fn complete(
    fleet: &Fleet,
    shard: &Shard,
    mut session: Session,
    head: &Head,
    by: &mut By,
) -> Result<(), ProvisionError> {
    if let Some(plan) = structure::plan(fleet, &mut session, head, by).await? {
        let carried = carry(fleet, shard, session, &plan, head).await?;
        let failed = structure::outcome(head, &carried, by);
        match (failed, &*by) {
            (Some(error), _) => return Err(error),
            (None, By::Structure) => return Ok(()),
            _ => session = fleet.shard(shard).await?,
        }
    }
    let plan = pending(fleet, &mut session, head).await?;
    let carried = carry(fleet, shard, session, &plan, head).await?;
    match carried.failure {
        Some(failure) => Err(ProvisionError::Failed(Box::new(failure))),
        None => Ok(()),
    }
}

/// Carries a plan to a schema, and ends the session.
async fn carry(
    fleet: &Fleet,
    shard: &Shard,
    mut session: Session,
    plan: &Plan,
    head: &Head,
) -> Result<Carried, ProvisionError> {
    scripts::put(session.connection(), plan.texts()).await?;
    let compiled = compile(plan, &fleet.limits, Cut::Coarse, Audit::Dynamic);
    let mut carrier = Carrier::with_session(shard, &fleet.limits, session);
    let carried = carrier.carry(plan, &compiled, head).await;
    carrier.close().await;
    Ok(carried)
}

/// Refuses a tenant that somebody has begun to take away, or has taken away, since it was read.
async fn require_wanted(fleet: &Fleet, tenant: &Tenant) -> Result<(), ProvisionError> {
    let mut home = fleet.home().await?;
    let now = tenants::get(home.connection(), &tenant.name).await?;
    home.close().await;
    let name = || tenant.name.to_string();
    match now {
        Some(now) if now.shard != tenant.shard => Err(ProvisionError::Unknown(name())),
        Some(now) if now.state == TenantState::Retiring => Err(ProvisionError::State {
            name: name(),
            state: now.state,
        }),
        Some(_) => Ok(()),
        None => Err(ProvisionError::Unknown(name())),
    }
}

/// Whether the registry has said so; one that cannot be asked says nothing.
fn is_unwanted(error: &ProvisionError) -> bool {
    matches!(
        error,
        ProvisionError::Unknown(_)
            | ProvisionError::State {
                state: TenantState::Retiring,
                ..
            }
    )
}

/// What the schema of `head` lacks.
async fn pending(
    fleet: &Fleet,
    session: &mut Session,
    head: &Head,
) -> Result<Plan, ProvisionError> {
    let applied = match head.digest {
        Digest::EMPTY => Vec::new(),
        _ => history::applied(session.connection(), head).await?,
    };
    // Moved since the head was read: by a plan for another state nothing may be built.
    if Digest::of(&applied) != head.digest {
        return Err(ProvisionError::Busy(head.schema.clone()));
    }
    let standing = Standing {
        applied: &applied,
        repeatables: head.repeatables,
        running: head.running,
    };
    let stored = Stored::new();
    Ok(plan(
        &fleet.tenant,
        standing,
        Goal::Latest,
        &stored,
        fleet.out_of_order,
    )?)
}

async fn activate(home: &mut Session, name: &TenantName) -> Result<Tenant, ProvisionError> {
    let active = TenantState::Active;
    tenants::set_state(home.connection(), name, TenantState::Provisioning, active).await?;
    let now = tenants::get(home.connection(), name).await?;
    // Somebody else may have finished it as well, or begun to take it away.
    let now = now.ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
    match now.state {
        TenantState::Active => Ok(now),
        state => Err(ProvisionError::State {
            name: name.to_string(),
            state,
        }),
    }
}
