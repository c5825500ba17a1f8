//! A whole rehearsal: whom to copy, shard by shard, the shared schema before the tenants, and what follows for the fleet.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Allowed, Ground, Rehearsal, RehearseError, Rehearsed, conductor::Conductor, estimate::estimate,
    place::Stage, sample::sample, warn::warnings,
};
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    migration::Scope,
    plan::{Goal, Plan},
    tenant::Target,
    travel::{Cohorts, Standing, Survey},
};

/// What is to be rehearsed.
pub struct Request<'a> {
    /// Where the fleet is to go.
    pub goal: Goal,
    /// The shared schemas, the tenants or both.
    pub scopes: &'a [Scope],
    /// Which tenants.
    pub select: &'a (dyn Fn(&Standing) -> bool + Sync),
    /// How much data is copied.
    pub allowed: Allowed,
    /// So many tenants of those that are alike, at most: the largest of so many equal parts.
    pub parts: usize,
    /// What is worth a warning.
    pub thresholds: Thresholds,
    /// Is told of each copy as soon as it was rehearsed.
    pub observe: &'a (dyn Fn(&Rehearsed) + Sync),
    /// Cancelled to stop: copies that are made go.
    pub stop: &'a CancellationToken,
}

/// What is worth a warning.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// A lock that applications feel and that is held so long.
    pub long: Duration,
    /// A table of so many rows that is read or written whole.
    pub large: u64,
}

/// Runs what is pending on copies of sample tenants.
///
/// # Errors
/// Where nothing could be rehearsed at all, and where it was stopped. What goes wrong on a copy stands in the report.
pub async fn rehearse(
    fleet: &Fleet,
    ground: Ground<'_>,
    request: &Request<'_>,
) -> Result<Rehearsal, RehearseError> {
    let survey = Survey::take(fleet).await?;
    let shared = pending(fleet, &survey, Scope::Shared, request).await?;
    let tenants = pending(fleet, &survey, Scope::Tenant, request).await?;
    let mut conductor = Conductor {
        fleet,
        request,
        report: Rehearsal {
            in_place: matches!(ground, Ground::InPlace),
            away: survey.away.keys().cloned().collect(),
            ..Rehearsal::default()
        },
    };
    conductor.note(&shared);
    conductor.note(&tenants);
    let candidates = conductor.candidates(&shared, &tenants).await?;
    conductor.report.tenants = candidates.len();
    let sampled = sample(&candidates, request.parts);
    for shard in fleet.shards.iter() {
        let of_shard = |target: &Target| target.shard == shard.name;
        let sampled: Vec<_> = sampled.iter().filter(|c| of_shard(&c.target)).collect();
        let plan = shared.plans().find_map(|(plan, targets)| {
            let target = targets.iter().find(|(target, _)| of_shard(target));
            target.map(|(_, head)| (plan, head))
        });
        if sampled.is_empty() && plan.is_none() {
            continue;
        }
        let there = survey.shared.iter().find(|s| of_shard(&s.target));
        let there = there.is_some_and(|s| s.pinned.as_ref().is_some_and(|p| p.is_intact()));
        let stage = Stage::open(fleet, shard, ground);
        let stage = conductor.unless_stopped(stage).await?;
        conductor.report.notes.extend(stage.notes.clone());
        if conductor.shared(&stage, shard, plan, there).await? {
            for candidate in sampled {
                let Some((plan, _)) = tenants.plans().nth(candidate.likeness.cohort) else {
                    continue;
                };
                conductor.tenant(&stage, shard, plan, candidate).await?;
            }
        }
    }
    let mut report = conductor.report;
    if request.allowed.data {
        report.estimate = estimate(fleet, &candidates, &report.copies);
        let mut copied = report.copies.iter().filter_map(|copy| copy.copied.as_ref());
        if copied.any(|copied| !copied.partial.is_empty()) {
            let note = "of some tables only a part was copied: what the other rows do not take was not seen";
            report.notes.push(note.to_owned());
        }
    } else {
        let note = "no rows were copied: times mean little, and what fails on rows was not seen";
        report.notes.push(note.to_owned());
    }
    report.warnings = warnings(
        &report.copies,
        &request.thresholds,
        &fleet.limits.also_writes,
    );
    Ok(report)
}

/// Who something is pending for.
pub(super) struct Pending(pub(super) Cohorts);

impl Pending {
    /// Plans with something in them, and whom they are for.
    pub(super) fn plans(&self) -> impl Iterator<Item = (&Plan, &[(Target, Head)])> {
        let cohorts = self.0.cohorts.iter().filter(|c| c.running.is_none());
        cohorts.filter_map(|cohort| {
            let plan = cohort.plan.as_ref().ok().filter(|plan| !plan.is_empty())?;
            Some((plan, cohort.targets.as_slice()))
        })
    }
}

async fn pending(
    fleet: &Fleet,
    survey: &Survey,
    scope: Scope,
    request: &Request<'_>,
) -> Result<Pending, FleetError> {
    let is_wanted = request.scopes.contains(&scope);
    let standings: Vec<_> = survey
        .moving(scope)
        .filter(|standing| is_wanted && (scope == Scope::Shared || (request.select)(standing)))
        .map(Standing::once_made)
        .collect();
    Ok(Pending(
        Cohorts::form(fleet, scope, &standings, request.goal).await?,
    ))
}
