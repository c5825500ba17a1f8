//! `[provision]`: how tenants are made and taken away.

use std::time::Duration;

use serde::Deserialize;

use super::{checks::Checks, duration};

/// How tenants are made and taken away.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// So many schemas are kept built ahead on each shard, at least.
    pub pool_min: u32,
    /// So many at most; zero for no pool.
    pub pool_max: u32,
    /// How long a tenant that is being retired can be had back before its schema is dropped.
    #[serde(deserialize_with = "duration::friendly")]
    pub retire_grace: Duration,
    /// A program and its arguments, run before a tenant's schema is dropped; none where empty.
    pub before_retire: Vec<String>,
    /// How long that may take.
    #[serde(deserialize_with = "duration::friendly")]
    pub before_retire_timeout: Duration,
}

impl Provision {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.require(
            self.pool_min <= self.pool_max,
            "provision.pool_min",
            "must not be more than provision.pool_max, which is how many are built ahead at most",
        );
        checks.require(
            self.before_retire
                .first()
                .is_none_or(|program| !program.is_empty()),
            "provision.before_retire",
            "must begin with a program, such as [\"/usr/local/bin/keep-a-dump\"]",
        );
        checks.require(
            !self.before_retire_timeout.is_zero(),
            "provision.before_retire_timeout",
            "must be more than \"0s\": no program is that quick",
        );
    }
}
