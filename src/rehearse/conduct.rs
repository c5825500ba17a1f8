//! A whole rehearsal: whom to copy, shard by shard, the shared schema before the tenants, and what follows for the fleet.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Allowed, Ground, Rehearsal, RehearseError, Rehearsed, Unwell,
    candidate::{Candidate, Found},
    conductor::Conductor,
    estimate::estimate,
    place::Original,
    sample::{clusters, sample},
    scene::Scene,
    warn::warnings,
};
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    migration::Scope,
    plan::{Goal, Plan},
    tenant::{ShardName, Target},
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
    /// So many tenants of those that share a plan and a shard, at most: one of each structure, then the largest of so many
    /// equal parts.
    pub parts: usize,
    /// For how long the structures of tenants are looked at, at most; zero for not at all.
    pub look: Duration,
    /// Whether what a server says of errors is told whole, though it may quote rows.
    pub shows_values: bool,
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
/// Where nothing could be rehearsed at all, and where it was stopped. What goes wrong on a copy, or with one shard of several,
/// stands in the report.
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
    let found = Found::of(fleet, request, &shared, &tenants);
    let found = conductor.unless_stopped(found).await?;
    conductor.report.notes.extend(found.notes.iter().cloned());
    conductor.report.tenants = found.candidates.len();
    let sampled = sample(&found.candidates, request.parts);
    conductor.report.clusters = clusters(&found.candidates, &sampled);
    conductor.tell_of_clusters();
    let mut unwell = found.unwell;
    for shard in fleet.shards.iter() {
        let scene = Scene {
            shard,
            ground,
            shared: shared.of(&shard.name),
            bytes: found.shared.get(&shard.name).copied().unwrap_or_default(),
            is_shared_there: is_shared_there(&survey, &shard.name),
            tenants: &tenants,
            sampled: &sampled,
        };
        let is_known = unwell.iter().any(|(name, _)| *name == shard.name);
        if is_known || !scene.has_work() {
            continue;
        }
        match conductor.unless_stopped(Original::see(shard, ground)).await {
            Ok(original) => conductor.play(&scene, &original).await?,
            Err(error) if error.is_of_one_shard() => unwell.push((shard.name.clone(), error)),
            Err(error) => return Err(error),
        }
    }
    let mut report = conductor.report;
    report.unwell = together(&survey, unwell, report.copies.is_empty())?;
    finish(fleet, request, &found.candidates, &mut report);
    Ok(report)
}

/// All shards on which nothing was rehearsed; an error where nothing was rehearsed anywhere because of them.
fn together(
    survey: &Survey,
    mut found: Vec<(ShardName, RehearseError)>,
    is_nothing: bool,
) -> Result<Vec<Unwell>, RehearseError> {
    if is_nothing && survey.away.is_empty() && found.len() == 1 {
        return Err(found.remove(0).1);
    }
    let is_any = !found.is_empty();
    let mut all: BTreeMap<_, _> = survey.away.clone();
    all.extend(
        found
            .into_iter()
            .map(|(shard, error)| (shard, error.told().into())),
    );
    if is_nothing && is_any {
        let each = all.iter().map(|(shard, why)| format!("{shard}: {why}"));
        let each = each.collect::<Vec<_>>().join("; ");
        return Err(FleetError::NoShard(each).into());
    }
    let unwell = all.into_iter().map(|(shard, why)| Unwell {
        shard,
        message: why.to_string(),
    });
    Ok(unwell.collect())
}

/// What follows from the copies for the fleet.
fn finish(fleet: &Fleet, request: &Request<'_>, candidates: &[Candidate], report: &mut Rehearsal) {
    for cluster in &mut report.clusters {
        let made = report.copies.iter().filter(|copy| copy.copied.is_some());
        let of = made.filter_map(|copy| copy.stands_for);
        cluster.copies = of.filter(|of| of.cluster == cluster.number).count();
    }
    if request.allowed.data {
        report.estimate = estimate(fleet, candidates, &report.copies);
        let mut copied = report.copies.iter().filter_map(|copy| copy.copied.as_ref());
        if copied.any(|copied| !copied.partial.is_empty()) {
            let note = "of some tables only a part was copied: what the other rows do not take was not seen";
            report.notes.push(note.to_owned());
        }
        report.notes.extend(unknown(report));
    } else {
        let note = "no rows were copied: times mean little, and what fails on rows was not seen";
        report.notes.push(note.to_owned());
    }
    report.warnings = warnings(
        &report.copies,
        &request.thresholds,
        &fleet.limits.also_writes,
    );
}

/// Why it is not known what the plan takes.
fn unknown(report: &Rehearsal) -> Option<String> {
    let mut statements = report.copies.iter().flat_map(Rehearsed::statements);
    let traced = statements
        .find(|traced| traced.estimated.is_none())
        .filter(|_| report.estimate.is_none())?;
    let tables = traced.too_few_rows_of.join(", ");
    let (path, position) = (traced.place.path.display(), traced.place.position);
    Some(format!(
        "what the plan takes is not known: too few rows were copied of {tables} ({path}:{position})"
    ))
}

fn is_shared_there(survey: &Survey, shard: &ShardName) -> bool {
    let mut shared = survey.shared.iter();
    let shared = shared.find(|standing| standing.target.shard == *shard);
    let pinned = shared.and_then(|standing| standing.pinned.as_ref());
    pinned.is_some_and(|pinned| pinned.is_intact())
}

/// Who something is pending for.
pub(super) struct Pending(pub(super) Cohorts);

impl Pending {
    /// The plan of the first target on a shard, and where that stands.
    fn of(&self, shard: &ShardName) -> Option<(&Plan, &Head)> {
        self.plans().find_map(|(plan, targets)| {
            let target = targets.iter().find(|(target, _)| target.shard == *shard);
            target.map(|(_, head)| (plan, head))
        })
    }

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
