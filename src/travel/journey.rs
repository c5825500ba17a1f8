//! One run over the fleet: plan everything, then shared first on the way up, tenants first on the way back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use tokio_util::sync::CancellationToken;

use super::{
    Back, Budget, Cohort, Cohorts, Ended, Observer, Report, Run, ScopeReport, Standing, Survey,
    conduct::{Conductor, Work},
    dependence::{refuse_shared_behind, refuse_tenants_left_behind},
    queue::Prepared,
};
use crate::{
    config::Portion,
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    plan::{Goal, Plan},
    postgres::Fault,
    provision,
    tenant::{ShardName, Target, TenantState},
};

/// Where which part of the fleet should go.
pub struct Request<'a> {
    /// Where to.
    pub goal: Goal,
    /// In this order; the next scope is begun only when the one before it is complete.
    pub scopes: &'a [Scope],
    /// Which tenants; the shared scope is never chosen from.
    pub select: &'a (dyn Fn(&Standing) -> bool + Sync),
    /// How many targets of a scope may fail.
    pub max_failures: Portion,
}

/// So often a target that somebody else has moved meanwhile is planned for again.
const PASSES: usize = 3;

/// Where the fleet stands, and the plans that would take it to the goal; shared schemas that are not there yet are made, where
/// the way up needs them.
pub(crate) async fn plan_all(
    fleet: &Fleet,
    request: &Request<'_>,
) -> Result<(Survey, Vec<Cohorts>), FleetError> {
    let journey = Journey {
        fleet,
        request,
        back: None,
        stop: &CancellationToken::new(),
        observer: &(),
    };
    journey.plans().await
}

/// Takes the fleet to the goal. Everything is planned before anything is begun: a refusal in any scope stops all.
pub async fn travel(
    fleet: &Fleet,
    request: &Request<'_>,
    stop: &CancellationToken,
    observer: &dyn Observer,
) -> Result<Report, FleetError> {
    let journey = Journey {
        fleet,
        request,
        back: None,
        stop,
        observer,
    };
    journey.travel().await
}

/// One run, as it was asked for.
pub(super) struct Journey<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) request: &'a Request<'a>,
    /// Where each target goes, where that is not the goal of the request.
    pub(super) back: Option<&'a Back>,
    pub(super) stop: &'a CancellationToken,
    pub(super) observer: &'a dyn Observer,
}

impl Journey<'_> {
    pub(super) async fn travel(&self) -> Result<Report, FleetError> {
        let (survey, plans) = self.plans().await?;
        self.observer.planned(&plans);
        let mut report = Report {
            suspended: self.suspended(&survey),
            ..Report::default()
        };
        if plans
            .iter()
            .any(|cohorts| cohorts.refusals().next().is_some())
        {
            report.scopes = plans.iter().map(ScopeReport::refused).collect();
            return Ok(report);
        }
        let mut unwell = Unwell::new();
        for mut cohorts in plans {
            cohorts.leave_out(&unwell);
            let scope = self.scope(cohorts).await?;
            // A shared schema holds up everybody on the way up, and on the way back every tenant holds up the shared schema;
            // a database that cannot be worked on holds up its own.
            let ends = !scope.is_complete_elsewhere();
            let found = scope.unwell().into_iter();
            unwell.extend(found.map(|(shard, why)| (shard.clone(), why)));
            report.scopes.push(scope);
            if ends || unwell.len() == self.fleet.shards.iter().count() {
                break;
            }
        }
        // Whoever asks to stop when the last one has ended has stopped nobody.
        let is_cancelled = |run: &Run| matches!(&run.ended, Ended::Failed(failure) if failure.fault == Fault::Cancelled);
        let cut_short =
            |run: &Run| run.ended == Ended::NotStarted || is_cancelled(run) || self.is_stale(run);
        let mut runs = report.scopes.iter().flat_map(|scope| &scope.runs);
        let is_short = report.scopes.len() < self.request.scopes.len() || runs.any(cut_short);
        report.stopped = self.stop.is_cancelled() && is_short;
        Ok(report)
    }

    async fn plans(&self) -> Result<(Survey, Vec<Cohorts>), FleetError> {
        let survey = self.survey().await?;
        let mut plans = Vec::new();
        for scope in self.request.scopes {
            plans.push(self.plan(&survey, *scope, None).await?);
        }
        if self.back.is_none() {
            self.check_version(&plans)?;
        }
        refuse_tenants_left_behind(self.request, &survey, &plans)?;
        refuse_shared_behind(self.fleet, self.request, &survey, &plans).await?;
        Ok((survey, plans))
    }

    /// Where everything stands, with the shared schemas made where the way up needs them.
    async fn survey(&self) -> Result<Survey, FleetError> {
        let survey = Survey::take(self.fleet).await?;
        let upwards = self.request.goal.direction(None) == crate::migration::Direction::Up;
        let absent: Vec<_> = survey
            .shared
            .iter()
            .filter(|standing| standing.pinned.is_none() && standing.away.is_none())
            .collect();
        if !upwards || absent.is_empty() || !self.request.scopes.contains(&Scope::Shared) {
            return Ok(survey);
        }
        let mut unwell = Vec::new();
        for standing in absent {
            match provision::shared_schema(self.fleet, &standing.target).await {
                Err(error) if error.is_of_one_shard() && self.fleet.shards.iter().count() > 1 => {
                    unwell.push((standing.target.shard.clone(), error.to_string().into()));
                }
                made => made?,
            }
        }
        let mut survey = Survey::take(self.fleet).await?;
        for (shard, why) in unwell {
            survey.leave_out(&shard, why);
        }
        Ok(survey)
    }

    /// How many tenants that were asked for are not moved for now.
    fn suspended(&self, survey: &Survey) -> usize {
        let is_suspended = |standing: &&Standing| {
            let state = standing.tenant.as_ref().map(|tenant| tenant.state);
            state == Some(TenantState::Suspended) && (self.request.select)(standing)
        };
        match self.request.scopes.contains(&Scope::Tenant) {
            true => survey.tenants.iter().filter(is_suspended).count(),
            false => 0,
        }
    }

    /// The cohorts of a scope; of `only` these targets, where given.
    async fn plan(
        &self,
        survey: &Survey,
        scope: Scope,
        only: Option<&BTreeSet<Target>>,
    ) -> Result<Cohorts, FleetError> {
        let chosen = survey.moving(scope).filter(|standing| match scope {
            // On the way back a shard that has no shared schema has nothing to take back.
            Scope::Shared => standing.pinned.is_some() || standing.away.is_some(),
            Scope::Tenant => (self.request.select)(standing),
        });
        let chosen =
            chosen.filter(|standing| only.is_none_or(|only| only.contains(&standing.target)));
        match self.back {
            Some(back) => back.form(self.fleet, scope, chosen).await,
            None => Cohorts::form(self.fleet, scope, chosen, self.request.goal).await,
        }
    }

    /// A version that was named must be known to somebody, else it is a slip of the keyboard.
    fn check_version(&self, plans: &[Cohorts]) -> Result<(), FleetError> {
        let (Goal::UpTo(version) | Goal::DownTo(version) | Goal::Goto(version)) = self.request.goal
        else {
            return Ok(());
        };
        let known = plans
            .iter()
            .any(|cohorts| cohorts.knows(self.fleet.set(cohorts.scope), version));
        // 0 stands for "before everything", as other tools have it.
        if known || version == Version::new(0) {
            Ok(())
        } else {
            Err(FleetError::UnknownVersion(version))
        }
    }

    /// Moves one scope.
    async fn scope(&self, mut cohorts: Cohorts) -> Result<ScopeReport, FleetError> {
        let start = Instant::now();
        let mut report = ScopeReport::refused(&cohorts);
        let targets: usize = cohorts
            .cohorts
            .iter()
            .filter(|c| has_work(c))
            .map(|c| c.targets.len())
            .sum();
        let budget = Budget::new(self.request.max_failures, targets);
        self.observer.begin(report.scope, targets);
        if report.scope == Scope::Shared {
            self.drain(&cohorts).await;
        }
        let mut earlier = Earlier::new();
        for pass in 1.. {
            let runs = self.pass(&cohorts, &budget, &earlier).await;
            let (stale, ended): (Vec<_>, Vec<_>) =
                runs.into_iter().partition(|run| self.is_stale(run));
            report.runs.extend(ended);
            if stale.is_empty() || pass == PASSES || self.stop.is_cancelled() {
                for run in &stale {
                    self.observer.ended(report.scope, run);
                }
                report.runs.extend(stale);
                break;
            }
            // Somebody else has moved these: look again, and plan again.
            let again = stale.iter().map(|run| run.target.clone()).collect();
            earlier = stale
                .into_iter()
                .map(|run| (run.target.clone(), run))
                .collect();
            cohorts = match self.plan_again(report.scope, &again).await {
                Ok(cohorts) => cohorts,
                // What is done has to be told all the same.
                Err(error) => {
                    tracing::warn!(%error, "who was moved by somebody else could not be looked at again");
                    for run in earlier.values() {
                        self.observer.ended(report.scope, run);
                    }
                    report.runs.extend(earlier.into_values());
                    break;
                }
            };
            self.settle(&cohorts, &earlier, &mut report);
        }
        self.observer.finish(report.scope);
        report.elapsed = start.elapsed();
        Ok(report)
    }

    /// Drops what is built ahead where the shared schema is moved.
    async fn drain(&self, cohorts: &Cohorts) {
        let moved = cohorts.cohorts.iter().filter(|cohort| has_work(cohort));
        let moved: BTreeSet<_> = moved
            .flat_map(|cohort| &cohort.targets)
            .map(|(target, _)| &target.shard)
            .collect();
        for name in moved {
            if let Some(shard) = self.fleet.shards.get(name) {
                provision::drain(self.fleet, shard).await;
            }
        }
    }

    async fn plan_again(
        &self,
        scope: Scope,
        only: &BTreeSet<Target>,
    ) -> Result<Cohorts, FleetError> {
        let survey = Survey::take(self.fleet).await?;
        self.plan(&survey, scope, Some(only)).await
    }

    /// Reports the targets that somebody else has moved and that need no further pass, or can have none.
    fn settle(&self, cohorts: &Cohorts, earlier: &Earlier, report: &mut ScopeReport) {
        let refusals = cohorts.refusals();
        let refusals = refusals.map(|(refusal, count)| (refusal.clone(), count));
        report.refusals.extend(refusals);
        report.blocked.extend(cohorts.blocked.iter().cloned());
        let targets = |of: fn(&Cohort) -> bool| -> BTreeSet<&Target> {
            let cohorts = cohorts.cohorts.iter().filter(|cohort| of(cohort));
            let targets = cohorts.flat_map(|cohort| &cohort.targets);
            targets.map(|(target, _)| target).collect()
        };
        let (open, current) = (targets(has_work), targets(Cohort::stands_still));
        for run in earlier.values().filter(|run| !open.contains(&run.target)) {
            let mut run = run.clone();
            if current.contains(&run.target) {
                run.ended = Ended::Done;
                report.current += usize::from(run.migrations == 0);
            }
            self.observer.ended(report.scope, &run);
            if run.migrations > 0 {
                report.runs.push(run);
            }
        }
    }

    async fn pass(&self, cohorts: &Cohorts, budget: &Budget, earlier: &Earlier) -> Vec<Run> {
        let prepare =
            |plan: &Plan| Prepared::new(Arc::new(plan.clone()), &self.fleet.limits, cohorts.scope);
        let prepared: Vec<(Prepared, &Cohort)> = cohorts
            .cohorts
            .iter()
            .filter(|cohort| has_work(cohort))
            .filter_map(|cohort| Some((prepare(cohort.plan.as_ref().ok()?), cohort)))
            .collect();
        let works = prepared.iter().flat_map(|(prepared, cohort)| {
            cohort.targets.iter().map(move |(target, head)| Work {
                prepared,
                target,
                head,
                met: None,
            })
        });
        let observe = |run: &Run| {
            if !self.is_stale(run) {
                self.observer
                    .ended(cohorts.scope, &with(earlier, run.clone()));
            }
        };
        let conductor = Conductor {
            fleet: self.fleet,
            budget,
            stop: self.stop,
            observe: &observe,
        };
        let runs = conductor.conduct(works.collect()).await;
        runs.into_iter().map(|run| with(earlier, run)).collect()
    }

    /// Whether it is worth a new plan; a goal counted in steps is not, since somebody else may have taken some.
    fn is_stale(&self, run: &Run) -> bool {
        let counted = matches!(self.request.goal, Goal::Up(_) | Goal::Down(_) | Goal::Redo);
        matches!(&run.ended, Ended::Failed(failure) if failure.fault == Fault::Stale) && !counted
    }
}

/// Shards that cannot be worked on, and why.
type Unwell = BTreeMap<ShardName, Arc<str>>;

/// What passes before have done to targets that are planned for again.
type Earlier = BTreeMap<Target, Run>;

/// A run, with what was committed before somebody else came in between.
fn with(earlier: &Earlier, run: Run) -> Run {
    match earlier.get(&run.target) {
        None => run,
        Some(before) => Run {
            from: before.from,
            migrations: before.migrations + run.migrations,
            noticed: [before.noticed.clone(), run.noticed].concat(),
            ..run
        },
    }
}

fn has_work(cohort: &Cohort) -> bool {
    cohort.plan.as_ref().is_ok_and(|plan| !plan.is_empty())
}
