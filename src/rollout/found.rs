//! Where schemas stand of which that was not known when their rollout was planned: written down before they are moved, so that
//! they can be taken back to there and no further.

use std::sync::Arc;

use super::run::Worker;
use crate::{
    history::Head,
    store::{
        StoreError,
        runs::Claimed,
        starts::{self, Found},
    },
    tenant::Target,
    travel::Known,
};

/// Runs that share a plan, with where their schemas stand.
pub(super) type Alike = (Arc<Known>, Vec<(Claimed, Target, Head)>);

impl Worker<'_> {
    /// Writes down where those schemas stand of which that is not known.
    pub(super) async fn find_out(&self, lots: &[Alike]) -> Result<(), StoreError> {
        let all = lots.iter().flat_map(|(known, lot)| {
            let unknown = lot.iter().filter(|(run, ..)| run.is_unknown);
            unknown.map(|(run, _, head)| Found {
                position: run.position,
                version: head.version.map(|version| version.to_string()),
                digest: head.digest,
                applied: known.applied,
            })
        });
        let found: Vec<_> = all.collect();
        if found.is_empty() {
            return Ok(());
        }
        let wave = self.wave;
        let mut home = wave.home.lock().await;
        starts::found(home.connection(), wave.of, wave.crew.me.id, &found).await
    }
}
