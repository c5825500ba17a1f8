//! What a run over the fleet has come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{Blocked, Breaker, Cohorts, Ended, Run, Why};
use crate::{
    apply::Failure,
    migration::Scope,
    plan::Refusal,
    postgres::Fault,
    tenant::{ShardName, Target},
};

/// What a run over the fleet has come to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// In the order in which the scopes were moved; a scope that was not reached is absent.
    pub scopes: Vec<ScopeReport>,
    /// Somebody asked to stop before the end.
    pub stopped: bool,
    /// How many of the tenants that were asked for stay where they are, because they are suspended.
    pub suspended: usize,
}

/// The same for one scope.
#[derive(Debug, Clone)]
pub struct ScopeReport {
    /// Which one.
    pub scope: Scope,
    /// Targets that stood at the goal already.
    pub current: usize,
    /// One for every target that did not.
    pub runs: Vec<Run>,
    /// Why nothing was begun, with the number of targets held up.
    pub refusals: Vec<(Refusal, usize)>,
    /// Targets that were left out.
    pub blocked: Vec<Blocked>,
    /// How many repeatables a way back has left at their present text.
    pub left_in_place: usize,
    /// From the first message to the end of the last one.
    pub elapsed: Duration,
}

/// Failures that are told together.
#[derive(Debug, Clone)]
pub struct FailureGroup<'a> {
    /// One of them.
    pub example: &'a Failure,
    /// All targets.
    pub targets: Vec<&'a Target>,
}

impl<'a> FailureGroup<'a> {
    /// Sorts failures by what they have in common, the most frequent first.
    pub fn of(failures: impl Iterator<Item = (&'a Target, &'a Failure)>) -> Vec<Self> {
        let mut groups: BTreeMap<String, Self> = BTreeMap::new();
        // By target, so that the example does not depend on who was quickest.
        let mut failures: Vec<_> = failures.collect();
        failures.sort_by_key(|(target, _)| *target);
        for (target, failure) in failures {
            let group = groups.entry(failure.kind());
            group
                .or_insert_with(|| Self {
                    example: failure,
                    targets: Vec::new(),
                })
                .targets
                .push(target);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.targets.len()));
        groups
    }
}

impl ScopeReport {
    /// The report of a scope in which nothing was begun.
    pub(super) fn refused(cohorts: &Cohorts) -> Self {
        let plans = cohorts
            .cohorts
            .iter()
            .filter_map(|cohort| cohort.plan.as_ref().ok());
        let still = cohorts
            .cohorts
            .iter()
            .filter(|cohort| cohort.stands_still());
        Self {
            scope: cohorts.scope,
            current: still.map(|cohort| cohort.targets.len()).sum(),
            runs: Vec::new(),
            refusals: cohorts
                .refusals()
                .map(|(refusal, count)| (refusal.clone(), count))
                .collect(),
            blocked: cohorts.blocked.clone(),
            left_in_place: plans.map(|plan| plan.left_in_place).max().unwrap_or(0),
            elapsed: Duration::ZERO,
        }
    }

    /// Targets that came to the goal.
    pub fn done(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| run.ended == Ended::Done)
            .count()
    }

    /// Targets that were not begun.
    pub fn not_started(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| run.ended == Ended::NotStarted)
            .count()
    }

    /// Migrations committed, up or down, over all targets.
    pub fn migrations(&self) -> usize {
        self.runs.iter().map(|run| run.migrations).sum()
    }

    /// Targets that failed, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&Target, &Failure)> {
        self.runs.iter().filter_map(|run| match &run.ended {
            Ended::Failed(failure) => Some((&run.target, failure.as_ref())),
            _ => None,
        })
    }

    /// Failures by what they have in common, the most frequent first.
    pub fn failure_groups(&self) -> Vec<FailureGroup<'_>> {
        FailureGroup::of(self.failures())
    }

    /// Whether every target is at the goal.
    pub fn is_complete(&self) -> bool {
        self.refusals.is_empty()
            && self.blocked.is_empty()
            && self.runs.iter().all(|run| run.ended == Ended::Done)
    }

    /// Shards that could not be worked on, or no longer, and why: they hold back nobody but their own targets.
    pub fn unwell(&self) -> BTreeMap<&ShardName, Arc<str>> {
        let blocked = self
            .blocked
            .iter()
            .filter_map(|blocked| match &blocked.why {
                Why::Unreachable(why) => Some((&blocked.target.shard, why.clone())),
                _ => None,
            });
        let failed = self.failures();
        let failed = failed.filter(|(_, failure)| Breaker::is_opened_by(failure.fault));
        let failed =
            failed.map(|(target, failure)| (&target.shard, failure.error.to_string().into()));
        blocked.chain(failed).collect()
    }

    /// Whether every target is at the goal on those shards that can be worked on.
    pub fn is_complete_elsewhere(&self) -> bool {
        let unwell: BTreeSet<_> = self.unwell().into_keys().collect();
        let elsewhere = |target: &Target| !unwell.contains(&target.shard);
        self.refusals.is_empty()
            && !self.blocked.iter().any(|b| elsewhere(&b.target))
            && !self
                .runs
                .iter()
                .any(|run| run.ended != Ended::Done && elsewhere(&run.target))
    }

    /// Whether nothing is wrong but that somebody else was at work.
    pub fn is_only_busy(&self) -> bool {
        let busy = |failure: &Failure| matches!(failure.fault, Fault::Busy | Fault::Stale);
        !self.is_complete()
            && self.refusals.is_empty()
            && self.blocked.is_empty()
            && self.failures().next().is_some()
            && self.failures().all(|(_, failure)| busy(failure))
    }
}

impl Report {
    /// Whether every target of every scope is at the goal.
    pub fn is_complete(&self) -> bool {
        !self.stopped && self.scopes.iter().all(ScopeReport::is_complete)
    }
}
