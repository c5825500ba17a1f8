//! `[backfill]`: what holds for backfills that do not say otherwise.

use serde::Deserialize;

use super::checks::Checks;

/// Larger batches are no faster, and lock their rows for so long that the application notices.
const LARGEST_BATCH: u32 = 100_000;

/// What holds for backfills that do not say otherwise in their header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// Rows a second, in the whole fleet.
    pub rate: u32,
    /// Rows in the first batch.
    pub batch: u32,
}

impl Backfill {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.at_least_one(self.rate.into(), "backfill.rate");
        checks.at_least_one(self.batch.into(), "backfill.batch");
        checks.require(
            self.batch <= LARGEST_BATCH,
            "backfill.batch",
            format!(
                "must be at most {LARGEST_BATCH}: the rows of a batch are locked until it ends"
            ),
        );
    }
}
