//! What tenants owe to the shared schema: it goes before them on the way up, and after all of them on the way back.
//!
//! Pure looks at surveys and plans; changes nothing.

use super::{
    Cohorts, Request, Standing, Survey, Why,
    cohort::{Dirty, ready},
};
use crate::{
    fleet::{Fleet, FleetError},
    migration::{Direction, Scope, Version},
    plan::{Goal, Plan},
    tenant::{ShardName, TenantState},
};

/// So many tenants are named.
const NAMED: usize = 5;

/// Refuses to take a shared schema back under tenants that would stay where they are.
pub(super) fn refuse_tenants_left_behind(
    request: &Request<'_>,
    survey: &Survey,
    plans: &[Cohorts],
) -> Result<(), FleetError> {
    let goes_back =
        |cohorts: &Cohorts| cohorts.scope == Scope::Shared && leads(cohorts, Direction::Down);
    if !request.scopes.contains(&Scope::Tenant) || !plans.iter().any(goes_back) {
        return Ok(());
    }
    let tenants = survey.tenants.iter();
    let left = tenants
        .filter(|standing| is_left(standing, request))
        .map(|standing| standing.target.schema.as_str());
    // Their schemas are there, and they were made with what is shared, whatever the registry says.
    let strays = survey.strays.iter().map(|(_, pinned)| pinned);
    let strays = strays
        .filter(|pinned| pinned.is_intact() && pinned.head.version > floor(request.goal))
        .map(|pinned| pinned.head.schema.as_str());
    let left: Vec<&str> = left.chain(strays).collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(FleetError::TenantsStay {
        named: left
            .iter()
            .take(NAMED)
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
        more: left.len().saturating_sub(NAMED),
    })
}

/// Refuses to move tenants up on a shard whose shared schema lacks what the goal takes in, when the request leaves the
/// shared scope out. Reads nothing that grows with the number of tenants.
pub(super) async fn refuse_shared_behind(
    fleet: &Fleet,
    request: &Request<'_>,
    survey: &Survey,
    plans: &[Cohorts],
) -> Result<(), FleetError> {
    if request.scopes.contains(&Scope::Shared) || fleet.shared.migrations.is_empty() {
        return Ok(());
    }
    let goes_up = |plan: &Plan| {
        let mut steps = plan.steps.iter();
        !plan.is_empty() && steps.all(|step| step.direction == Direction::Up)
    };
    let cohorts = plans.iter().flat_map(|cohorts| &cohorts.cohorts);
    let moving = cohorts.filter(|cohort| cohort.plan.as_ref().is_ok_and(goes_up));
    let targets = moving.flat_map(|cohort| &cohort.targets);
    let shards: std::collections::BTreeSet<&ShardName> =
        targets.map(|(target, _)| &target.shard).collect();
    let needed = |standing: &&Standing| shards.contains(&standing.target.shard);
    let shared = survey.shared.iter().filter(needed);
    let shared = Cohorts::form(fleet, Scope::Shared, shared, Goal::Latest).await?;
    let behind = |shard: &ShardName, lacks: String| FleetError::SharedBehind {
        shard: shard.clone(),
        lacks,
    };
    if let Some(blocked) = shared.blocked.first() {
        let lacks = match &blocked.why {
            Why::Unknown | Why::Unmade => "is not there".to_owned(),
            Why::Dirty(version, _) => format!("stopped half-way at {version}"),
            _ => "is not the one that was made".to_owned(),
        };
        return Err(behind(&blocked.target.shard, lacks));
    }
    for cohort in &shared.cohorts {
        let is_applied = |version| cohort.applied.iter().any(|a| a.version == version);
        let versions = fleet.shared.migrations.iter().map(|m| m.version);
        let pending = versions
            .filter(|version| is_within(request.goal, *version) && !is_applied(*version))
            .count();
        match (pending, cohort.targets.first()) {
            (0, _) | (_, None) => {}
            (1, Some((target, _))) => {
                return Err(behind(&target.shard, "lacks 1 migration".to_owned()));
            }
            (_, Some((target, _))) => {
                return Err(behind(&target.shard, format!("lacks {pending} migrations")));
            }
        }
    }
    Ok(())
}

/// Whether a tenant stays above the goal that everybody else goes back to, or may do so.
fn is_left(standing: &Standing, request: &Request<'_>) -> bool {
    let Some(tenant) = &standing.tenant else {
        return false;
    };
    // The shared schema beside it stays as well.
    if standing.away.is_some() {
        return false;
    }
    let stands = ready(standing, Dirty::Blocks);
    match tenant.state {
        TenantState::Active if (request.select)(standing) => stands.is_err(),
        // Not made yet, or not there any more.
        TenantState::Provisioning | TenantState::Retiring if standing.pinned.is_none() => false,
        _ => stands.map_or(true, |head| head.version > floor(request.goal)),
    }
}

/// What stays applied on the way back.
fn floor(goal: Goal) -> Option<Version> {
    match goal {
        Goal::DownTo(version) | Goal::Goto(version) => Some(version),
        _ => None,
    }
}

fn is_within(goal: Goal, version: Version) -> bool {
    match goal {
        Goal::UpTo(last) | Goal::Goto(last) => version <= last,
        _ => true,
    }
}

fn leads(cohorts: &Cohorts, direction: Direction) -> bool {
    let plans = cohorts
        .cohorts
        .iter()
        .filter_map(|cohort| cohort.plan.as_ref().ok());
    let mut steps = plans.flat_map(|plan| &plan.steps);
    steps.any(|step| step.direction == direction)
}
