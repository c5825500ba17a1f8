//! Where schemas stand of which that was not known when their rollout was planned: written down before they are moved, so that
//! they can be taken back to there and no further.

use super::{carry::Alike, run::Worker};
use crate::store::{
    StoreError,
    starts::{self, Found},
};

impl Worker<'_> {
    /// Writes down where those schemas stand of which that is not known.
    pub(super) async fn find_out(&self, lots: &[Alike]) -> Result<(), StoreError> {
        let all = lots.iter().flat_map(|(known, lot)| {
            let unknown = lot.iter().filter(|due| due.run.from_applied.is_none());
            unknown.map(|due| Found {
                position: due.run.position,
                version: due.head.version.map(|version| version.to_string()),
                digest: due.head.digest,
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
