//! What is rehearsed on one shard: the shared schema first, then the tenants that were chosen.

use super::{
    Ground, RehearseError,
    conduct::Pending,
    conductor::Conductor,
    place::{Original, Stage},
    sample::Sampled,
};
use crate::{history::Head, plan::Plan, postgres::Shard};

/// What is rehearsed on one shard.
pub(super) struct Scene<'a> {
    pub(super) shard: &'a Shard,
    pub(super) ground: Ground<'a>,
    /// What is pending for its shared schema, and where that stands.
    pub(super) shared: Option<(&'a Plan, &'a Head)>,
    /// How large that is.
    pub(super) bytes: u64,
    /// Whether there is one.
    pub(super) is_shared_there: bool,
    /// What is pending for the tenants of all shards.
    pub(super) tenants: &'a Pending,
    /// The tenants that were chosen, of all shards.
    pub(super) sampled: &'a [Sampled<'a>],
}

impl<'a> Scene<'a> {
    fn sampled(&self) -> impl Iterator<Item = &'a Sampled<'a>> {
        let of_shard = |s: &&Sampled<'_>| s.candidate.target.shard == self.shard.name;
        self.sampled.iter().filter(of_shard)
    }

    /// Whether there is anything to rehearse.
    pub(super) fn has_work(&self) -> bool {
        self.shared.is_some() || self.sampled().next().is_some()
    }
}

impl Conductor<'_> {
    /// Rehearses on copies of what a shard has. What goes wrong with one of them is in the report.
    pub(super) async fn play(
        &mut self,
        scene: &Scene<'_>,
        original: &Original,
    ) -> Result<(), RehearseError> {
        let shard = scene.shard;
        let stage = Stage::open(self.fleet, shard, scene.ground, original);
        let stage = self.unless_stopped(stage).await?;
        self.report.notes.extend(stage.notes.iter().cloned());
        let pending = scene.shared.map(|(plan, head)| (plan, head, scene.bytes));
        let goes_on = self.shared(&stage, shard, pending, scene.is_shared_there);
        if !goes_on.await? {
            return Ok(());
        }
        for sampled in scene.sampled() {
            let cohort = sampled.candidate.likeness.cohort;
            if let Some((plan, _)) = scene.tenants.plans().nth(cohort) {
                self.tenant(&stage, shard, plan, sampled).await?;
            }
        }
        Ok(())
    }
}
