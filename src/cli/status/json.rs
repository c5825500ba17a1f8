//! The status for programs.

use serde::Serialize;

use super::{Fleetwide, Group, ScopeStatus};
use crate::{
    cli::report::json::{BlockedJson, TargetJson, UnwellJson, blocked, target, unwell},
    history::Running,
    migration::{Scope, Version},
    plan::Drift,
    store::drifted::Drifted,
    tenant::TenantState,
};

#[derive(Serialize)]
pub(super) struct StatusJson<'a> {
    scopes: Vec<ScopeJson<'a>>,
    idle: Vec<IdleJson<'a>>,
    strays: Vec<StrayJson<'a>>,
    /// As `tenantry drift` or the daemon has noted it.
    drifted: &'a [Drifted],
    unwell: Vec<UnwellJson>,
}

#[derive(Serialize)]
struct ScopeJson<'a> {
    scope: Scope,
    latest: Option<Version>,
    standings: Vec<GroupJson<'a>>,
    blocked: Vec<BlockedJson<'a>>,
}

#[derive(Serialize)]
struct GroupJson<'a> {
    version: Option<Version>,
    name: Option<&'a str>,
    running: Option<Running>,
    count: usize,
    pending: &'a [Version],
    repeatables_pending: bool,
    drift: &'a [Drift],
    targets: Vec<TargetJson<'a>>,
}

#[derive(Serialize)]
struct IdleJson<'a> {
    target: TargetJson<'a>,
    state: TenantState,
}

#[derive(Serialize)]
struct StrayJson<'a> {
    shard: &'a str,
    schema: &'a str,
    version: Option<Version>,
    /// Whether there is such a schema still.
    present: bool,
}

/// All of the status.
pub(super) fn status(status: &Fleetwide) -> StatusJson<'_> {
    let idle = status.idle.iter().map(|(tenant, state)| IdleJson {
        target: target(tenant),
        state: *state,
    });
    let strays = status.strays.iter().map(|(shard, pinned)| StrayJson {
        shard: shard.as_str(),
        schema: &pinned.head.schema,
        version: pinned.head.version,
        present: pinned.is_intact(),
    });
    StatusJson {
        scopes: status.scopes.iter().map(scope).collect(),
        idle: idle.collect(),
        strays: strays.collect(),
        drifted: &status.drifted,
        unwell: unwell(&status.away),
    }
}

fn scope(scope: &ScopeStatus) -> ScopeJson<'_> {
    ScopeJson {
        scope: scope.scope,
        latest: scope.latest,
        standings: scope.standings.iter().map(group).collect(),
        blocked: scope.blocked.iter().map(blocked).collect(),
    }
}

fn group(group: &Group) -> GroupJson<'_> {
    GroupJson {
        version: group.version,
        name: group.name.as_deref(),
        running: group.running,
        count: group.targets.len(),
        pending: &group.pending,
        repeatables_pending: group.repeatables_pending,
        drift: &group.drift,
        targets: group.targets.iter().map(target).collect(),
    }
}
