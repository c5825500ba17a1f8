//! `[load]`: how much a server may have to do before rollouts wait.

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// Above which values rollouts begin nothing more on a shard; zero is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How far the slowest standby may be behind.
    #[serde(deserialize_with = "duration::friendly")]
    pub replica_lag: Duration,
    /// How many sessions of others may wait for a lock.
    pub lock_waiters: u32,
    /// How many sessions of others may run a statement.
    pub active_sessions: u32,
    /// How much WAL may be written, in MiB a second.
    pub wal_mib_per_second: u32,
}
