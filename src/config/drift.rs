//! `[drift]`: how the daemon looks for schemas that look otherwise than they should.

use std::time::Duration;

use serde::Deserialize;

use super::{checks::Checks, duration};

/// Shorter, and the daemon would do nothing else.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// How the daemon looks for drift.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// How long it waits after it has looked at the whole fleet; zero for not looking at all.
    #[serde(deserialize_with = "duration::friendly")]
    pub interval: Duration,
    /// So many schemas a second are looked at on each shard, at most.
    pub tenants_per_second: u32,
}

impl Drift {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(
            self.interval.is_zero() || self.interval >= SHORTEST_INTERVAL,
            "drift.interval",
            "must be at least \"10ms\", or \"0s\" for never: every schema is looked at each time",
        );
        checks.at_least_one(self.tenants_per_second.into(), "drift.tenants_per_second");
    }
}
