//! What is pending when the daemon starts: applied by the same code as `up`, and looked at again until that is done.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::build::fleet;
use crate::{
    config::Settings,
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    postgres::{Fault, Shards},
    reconcile::{Next, Passing, Reconciler},
    telemetry::NoticeLevel,
    tenant::ShardName,
    travel::{Ended, Observer, Report, Request, Run, ScopeReport, travel},
};

/// The fleet once nothing is pending that holds the others back; none when asked to end before.
pub(super) async fn caught_up(
    is_caught_up: &watch::Receiver<Option<Arc<Fleet>>>,
    stop: &CancellationToken,
) -> Option<Arc<Fleet>> {
    let mut is_caught_up = is_caught_up.clone();
    let fleet = is_caught_up.wait_for(Option::is_some);
    stop.run_until_cancelled(fleet).await?.ok()?.clone()
}

/// Applies what is pending.
pub(super) struct Pending {
    settings: Settings,
    cut: CancellationToken,
    caught_up: watch::Sender<Option<Arc<Fleet>>>,
    /// The databases as the rest of the daemon has them.
    shards: Shards,
}

impl Pending {
    /// `caught_up` is given the fleet when its shared schemas are where they should be and every tenant had its turn.
    pub(super) fn new(
        settings: Settings,
        cut: CancellationToken,
        caught_up: watch::Sender<Option<Arc<Fleet>>>,
        shards: Shards,
    ) -> Self {
        Self {
            settings,
            cut,
            caught_up,
            shards,
        }
    }

    async fn apply(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        // Whoever mends the files is not asked to restart us, too.
        let fleet = fleet(&self.settings, &self.cut);
        let mut fleet = fleet.context("cannot apply what is pending")?;
        fleet.shards = fleet.shards.at_pace_of(&self.shards);
        if !self.settings.daemon.apply_at_start {
            self.caught_up.send_replace(Some(Arc::new(fleet)));
            return Ok(Next::Never);
        }
        let request = Request {
            goal: Goal::Latest,
            scopes: &[Scope::Shared, Scope::Tenant],
            select: &|_| true,
            max_failures: self.settings.apply.max_failures,
        };
        let report = travel(&fleet, &request, stop, &Log)
            .await
            .context("cannot apply what is pending")?;
        if report.stopped {
            return Ok(Next::Never);
        }
        report.scopes.iter().for_each(tell);
        if somebody_is_busy(&report) {
            bail!("somebody else is applying what is pending");
        }
        let unwell: BTreeMap<_, _> = report.scopes.iter().flat_map(|s| s.unwell()).collect();
        if unwell.len() == fleet.shards.iter().count() {
            bail!("no shard can be worked on: {}", said(&unwell));
        }
        // A tenant that failed waits for a person; to hold back the whole fleet would help nobody.
        let has_refusals = report.scopes.iter().any(|scope| !scope.refusals.is_empty());
        let is_shared_done = report
            .scopes
            .iter()
            .all(|scope| scope.scope == Scope::Tenant || scope.is_complete_elsewhere());
        if !is_shared_done || has_refusals {
            bail!("not ready: what is pending could not be applied; `tenantry up` tells more");
        }
        // What new tenants need is there, but for those of a shard that is away: they are told so one by one.
        self.caught_up.send_replace(Some(Arc::new(fleet)));
        if !unwell.is_empty() {
            bail!("not every shard can be worked on: {}", said(&unwell));
        }
        Ok(Next::Never)
    }
}

impl Reconciler for Pending {
    fn name(&self) -> &'static str {
        "pending"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.apply(stop))
    }
}

/// What the shards have said that cannot be worked on.
fn said(unwell: &BTreeMap<&ShardName, Arc<str>>) -> String {
    let each = unwell.iter().map(|(shard, why)| format!("{shard}: {why}"));
    each.collect::<Vec<_>>().join("; ")
}

/// Whether something is undone because somebody else was at work on it.
fn somebody_is_busy(report: &Report) -> bool {
    let mut failures = report.scopes.iter().flat_map(ScopeReport::failures);
    failures.any(|(_, failure)| matches!(failure.fault, Fault::Busy | Fault::Stale))
}

fn tell(scope: &ScopeReport) {
    for (refusal, targets) in &scope.refusals {
        tracing::error!(scope = %scope.scope, targets, "refused: {refusal}");
    }
    for blocked in &scope.blocked {
        tracing::warn!(target = %blocked.target, "left out: {}", blocked.why);
    }
    let (done, left) = (scope.done(), scope.not_started());
    if done > 0 || left > 0 {
        let (scope, migrations) = (scope.scope, scope.migrations());
        tracing::info!(%scope, done, left, migrations, "applied what was pending");
    }
}

/// One line for each target.
struct Log;

impl Observer for Log {
    fn ended(&self, _scope: Scope, run: &Run) {
        let target = &run.target;
        for noticed in &run.noticed {
            let (migration, message) = (&noticed.name, &noticed.message);
            match noticed.level {
                NoticeLevel::Warning => {
                    tracing::warn!(%target, migration, "PostgreSQL said: {message}");
                }
                NoticeLevel::Notice => {
                    tracing::info!(%target, migration, "PostgreSQL said: {message}");
                }
            }
        }
        match &run.ended {
            Ended::Done => tracing::info!(%target, migrations = run.migrations, "moved"),
            Ended::Failed(failure) => tracing::error!(%target, "failed: {failure}"),
            Ended::NotStarted => {}
        }
    }
}
