//! `[apply]`: how migrations are applied.

use std::time::Duration;

use serde::Deserialize;

use super::{Portion, checks::Checks, duration};

/// How migrations are applied to one tenant after another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// How many tenants are moved at once on a shard that does not say otherwise.
    pub concurrency: usize,
    /// How long a transaction of several tenants should take; zero for none of these.
    #[serde(deserialize_with = "duration::friendly")]
    pub group_time: Duration,
    /// How long a statement may wait for a lock.
    #[serde(deserialize_with = "duration::friendly")]
    pub lock_timeout: Duration,
    /// How often a tenant is tried when a lock cannot be had.
    pub lock_tries: u32,
    /// How long a statement may run.
    #[serde(deserialize_with = "duration::friendly")]
    pub statement_timeout: Duration,
    /// How long to come back to a tenant that somebody else is moving.
    #[serde(deserialize_with = "duration::friendly")]
    pub busy_wait: Duration,
    /// How many tables, indexes and other relations one connection may touch before a new one takes its place.
    pub relations_per_connection: u32,
    /// How many statements of scripts a second are begun on one shard, by all daemons together; 0 for as many as can be.
    pub ddl_per_second: u32,
    /// How many tenants may fail before no further one is started.
    pub max_failures: Portion,
}

impl Apply {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.at_least_one(self.concurrency as u64, "apply.concurrency");
        checks.at_least_one(self.lock_tries.into(), "apply.lock_tries");
        checks.at_least_one(
            self.relations_per_connection.into(),
            "apply.relations_per_connection",
        );
        checks.timeout(self.lock_timeout, "apply.lock_timeout");
        checks.timeout(self.statement_timeout, "apply.statement_timeout");
        checks.require(
            self.lock_timeout <= self.statement_timeout,
            "apply.lock_timeout",
            "must not be longer than apply.statement_timeout, which ends the wait first",
        );
    }
}
