//! Schemas that look otherwise than they should: found by looking at all of them now and then, slowly.
//!
//! Of several daemons one looks for all. Its claim runs out by itself, and what it found is noted only while it has it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pending::caught_up;
use crate::{
    config::Drift,
    drift::{Course, Earlier, Groups, Pace, Report, compare, find, note},
    fleet::Fleet,
    reconcile::{Next, Passing, Reconciler},
    store::{
        drifted::News,
        sweeps::{self, Claim, Turn},
    },
    travel::Survey,
};

/// What the claim is called in `tenantry.sweeps`.
const NAME: &str = "drift";

/// How long a daemon that died keeps the others from looking. One that lives renews it long before.
const LEASE: Duration = Duration::from_secs(60);

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
        let interval = self.settings.interval;
        if interval.is_zero() {
            return Ok(Next::Never);
        }
        let Some(fleet) = caught_up(&self.caught_up, stop).await else {
            return Ok(Next::Never);
        };
        let turn = match claim(&fleet, interval).await? {
            Claim::Ours(turn) => turn,
            Claim::Later(rest) => {
                let seconds = rest.as_secs();
                tracing::debug!(
                    seconds,
                    "another daemon looks for drift, or has just done so"
                );
                return Ok(Next::In(rest));
            }
        };
        let looked = self.look_in_turn(&fleet, turn, stop).await;
        // One that was stopped has not looked everywhere: the next one begins anew.
        let is_done = looked.is_ok() && !stop.is_cancelled();
        let given = give_back(&fleet, turn, is_done).await;
        let (report, news) = looked?;
        tell(&report, &news);
        given.context("cannot say that drift was looked for")?;
        Ok(Next::Later)
    }

    async fn look_in_turn(
        &self,
        fleet: &Fleet,
        turn: Turn,
        stop: &CancellationToken,
    ) -> anyhow::Result<(Report, News)> {
        let report = tokio::select! {
            report = self.compare(fleet, stop) => report.context("cannot look for drift")?,
            () = lost(fleet, turn) => bail!("cannot look for drift: another daemon has taken it over"),
        };
        if !renew(fleet, turn).await? {
            bail!("cannot note what drifted: another daemon has taken it over");
        }
        let news = note(fleet, &report)
            .await
            .context("cannot note what drifted")?;
        Ok((report, news))
    }

    async fn compare(&self, fleet: &Fleet, stop: &CancellationToken) -> anyhow::Result<Report> {
        let survey = Survey::take(fleet).await?;
        let mut groups = Groups::of(fleet, &survey, |_| true, true).await?;
        find(fleet, &mut groups, Earlier::Last).await?;
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

async fn claim(fleet: &Fleet, interval: Duration) -> anyhow::Result<Claim> {
    let mut home = fleet.home().await?;
    let holder = format!("{}, process {}", fleet.limits.who, std::process::id());
    let claim = sweeps::claim(home.connection(), NAME, &holder, interval, LEASE).await?;
    home.close().await;
    Ok(claim)
}

async fn renew(fleet: &Fleet, turn: Turn) -> anyhow::Result<bool> {
    let mut home = fleet.home().await?;
    let is_ours = sweeps::renew(home.connection(), turn, LEASE).await?;
    home.close().await;
    Ok(is_ours)
}

async fn give_back(fleet: &Fleet, turn: Turn, is_done: bool) -> anyhow::Result<()> {
    let mut home = fleet.home().await?;
    sweeps::give_back(home.connection(), turn, is_done).await?;
    home.close().await;
    Ok(())
}

/// Holds on to a claim; ends when it is lost.
async fn lost(fleet: &Fleet, turn: Turn) {
    loop {
        tokio::time::sleep(LEASE / 3).await;
        match renew(fleet, turn).await {
            Ok(true) => {}
            Ok(false) => return,
            // Whoever cannot reach the home database cannot take it over either.
            Err(error) => tracing::warn!("cannot hold on to looking for drift: {error:#}"),
        }
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
