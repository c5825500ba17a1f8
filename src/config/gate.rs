//! `[gate]`: what has to be well between two waves of a rollout.
//!
//! The daemon's own, and never written to the home database: the URL may hold a password.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::{checks::Checks, duration};

/// What has to be well between two waves of a rollout.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// A query that has to give true on every shard; empty for none.
    pub sql: String,
    /// A URL that has to answer with a status of 200 to 299; none where it was left empty.
    #[serde(deserialize_with = "unless_empty")]
    pub http: Option<SecretString>,
    /// How long it may be otherwise before the rollout is halted.
    #[serde(deserialize_with = "duration::friendly")]
    pub patience: Duration,
}

impl Gate {
    /// Whether anything is looked at.
    pub fn is_there(&self) -> bool {
        !self.sql.trim().is_empty() || self.http.is_some()
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        if let Some(url) = &self.http {
            checks.http(url.expose_secret(), "gate.http");
        }
    }
}

fn unless_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    let url = String::deserialize(deserializer)?;
    Ok((!url.is_empty()).then(|| url.into()))
}
