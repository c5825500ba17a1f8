//! What a run of a backfill has come to.

use std::time::Duration;

use crate::{
    apply::Failure,
    tenant::Target,
    travel::{Blocked, FailureGroup},
};

/// A backfill on one tenant, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Which tenant.
    pub target: Target,
    /// Rows of the batches that this run committed.
    pub rows: u64,
    /// The batches.
    pub batches: u64,
    /// How it ended.
    pub ended: Ended,
}

/// How a run on one tenant ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All rows are done.
    Done,
    /// All rows had been done before.
    Before,
    /// Somebody asked to stop; the next run goes on from there.
    Stopped,
    /// A batch failed; those before it stay.
    Failed(Box<Failure>),
    /// It was not begun: the budget was spent, or somebody asked to stop.
    NotStarted,
}

/// What a run of a backfill has come to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// One for every tenant that was chosen and could be worked on.
    pub runs: Vec<Run>,
    /// Tenants that were left out.
    pub blocked: Vec<Blocked>,
    /// From the first batch to the end of the last one.
    pub elapsed: Duration,
    /// Somebody asked to stop before the end.
    pub stopped: bool,
}

impl Report {
    /// Rows of all batches that this run committed.
    pub fn rows(&self) -> u64 {
        self.runs.iter().map(|run| run.rows).sum()
    }

    /// Tenants whose rows are all done, in this run or before.
    pub fn done(&self) -> usize {
        let is_done = |run: &&Run| matches!(run.ended, Ended::Done | Ended::Before);
        self.runs.iter().filter(is_done).count()
    }

    /// Tenants on which a batch failed, and why.
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

    /// Tenants that were not begun.
    pub fn not_started(&self) -> usize {
        let runs = self.runs.iter();
        runs.filter(|run| run.ended == Ended::NotStarted).count()
    }

    /// Whether every tenant is done.
    pub fn is_complete(&self) -> bool {
        self.blocked.is_empty() && self.done() == self.runs.len()
    }
}
