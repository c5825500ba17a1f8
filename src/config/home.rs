//! `[home]`: the home database.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{checks::Checks, duration};

/// The home database: where tenants, rollouts, backfills and leases are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// Where it is; none where it was not set. `Settings::home_url` says how to set it.
    #[serde(deserialize_with = "unless_empty")]
    pub url: Option<SecretString>,
    /// The same database past a pooler; none where `url` goes straight to the server.
    #[serde(deserialize_with = "unless_empty")]
    pub direct_url: Option<SecretString>,
    /// How long opening one connection may take, on shards too.
    #[serde(deserialize_with = "duration::friendly")]
    pub connect_timeout: Duration,
}

impl Home {
    pub(super) fn check(&self, checks: &mut Checks) {
        if let Some(url) = &self.url {
            checks.url(url, "home.url");
        }
        if let Some(url) = &self.direct_url {
            checks.url(url, "home.direct_url");
        }
        checks.require(
            !self.connect_timeout.is_zero(),
            "home.connect_timeout",
            "must be longer than 0: no connection could be opened",
        );
    }
}

pub(super) fn unless_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    let url = String::deserialize(deserializer)?;
    Ok((!url.is_empty()).then(|| url.into()))
}
