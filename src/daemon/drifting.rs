//! Schemas that look otherwise than they should: found by looking at all of them now and then, slowly.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pending::caught_up;
use crate::{
    config::Drift,
    drift::{Course, Groups, Pace, Report, compare, find, note},
    fleet::Fleet,
    reconcile::{Next, Passing, Reconciler},
    store::drifted::News,
    travel::Survey,
};

/// Looks for drift, and notes it.
///
/// What histories make is taken from what `tenantry drift` has kept; where that is nothing, schemas are compared with what
/// most of those have that stand where they stand. A daemon has no scratch server.
pub(super) struct Drifting {
    settings: Drift,
    caught_up: watch::Receiver<Option<Arc<Fleet>>>,
}

impl Drifting {
    /// Begins when `caught_up` has a fleet: what is pending changes what schemas look like.
    pub(super) fn new(settings: Drift, caught_up: watch::Receiver<Option<Arc<Fleet>>>) -> Self {
        Self {
            settings,
            caught_up,
        }
    }

    async fn look(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        if self.settings.interval.is_zero() {
            return Ok(Next::Never);
        }
        let Some(fleet) = caught_up(&self.caught_up, stop).await else {
            return Ok(Next::Never);
        };
        let report = self.compare(&fleet, stop).await;
        let report = report.context("cannot look for drift")?;
        let news = note(&fleet, &report)
            .await
            .context("cannot note what drifted")?;
        tell(&report, &news);
        Ok(Next::Later)
    }

    async fn compare(&self, fleet: &Fleet, stop: &CancellationToken) -> anyhow::Result<Report> {
        let survey = Survey::take(fleet).await?;
        let mut groups = Groups::of(fleet, &survey, |_| true, true).await?;
        find(fleet, &mut groups, false).await?;
        let pace = usize::try_from(self.settings.tenants_per_second).unwrap_or(usize::MAX);
        Ok(compare(fleet, groups, Course::new(Pace::PerSecond(pace), stop)).await?)
    }
}

impl Reconciler for Drifting {
    fn name(&self) -> &'static str {
        "drift"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.look(stop))
    }
}

/// One line for each schema that was not known to have drifted, or is as it should be again.
fn tell(report: &Report, news: &News) {
    let is_new = |shard: &str, schema: &str| {
        let mut found = news.found.iter();
        found.any(|(on, name)| on == shard && name == schema)
    };
    for group in &report.groups {
        for cluster in &group.odd {
            let words = cluster.words();
            let reference = group.reference();
            for target in &cluster.targets {
                if is_new(target.shard.as_str(), target.schema.as_str()) {
                    let (first, more) = (words.first(), words.len().saturating_sub(1));
                    let first = first.map_or("it differs", String::as_str);
                    tracing::warn!(%target, reference, more, "drifted: {first}");
                }
            }
        }
    }
    for (shard, schema) in &news.mended {
        tracing::info!(shard, schema, "drifted no longer");
    }
    let (drifted, not_looked) = (report.drifted(), report.not_looked.len());
    tracing::info!(drifted, not_looked, "looked for drift");
}
