//! `[daemon]`: `tenantry serve`.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use secrecy::{ExposeSecret as _, SecretString};

use super::{checks::Checks, duration, home::unless_empty};

/// Shorter, and the daemon would do nothing but ask.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// Shorter, and a query that is slow for once would cost a daemon all that it has.
const SHORTEST_TERM: Duration = Duration::from_secs(1);

/// Shorter, and it could be guessed.
const SHORTEST_TOKEN: usize = 16;

/// How the daemon is run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Daemon {
    /// Address and port of the HTTP server; port 0 takes any free one.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// What has to be shown for `/metrics`; none where that is not there for anybody.
    #[serde(deserialize_with = "unless_empty")]
    pub metrics_token: Option<SecretString>,
    /// How long what is running may take to end after the first signal.
    #[serde(deserialize_with = "duration::friendly")]
    pub grace: Duration,
    /// Whether the daemon applies what is pending when it starts, as `up` does.
    pub apply_at_start: bool,
    /// How long the others wait for a daemon that is not heard of, before they take over what it had.
    #[serde(deserialize_with = "duration::friendly")]
    pub term: Duration,
    /// How often the daemon looks for tenants whose schemas are to be made.
    #[serde(deserialize_with = "duration::friendly")]
    pub provision_interval: Duration,
}

impl Daemon {
    pub(super) fn check(&self, checks: &mut Checks) {
        let token = self.metrics_token.as_ref();
        checks.require(
            token.is_none_or(|token| token.expose_secret().len() >= SHORTEST_TOKEN),
            "daemon.metrics_token",
            "must have at least 16 characters: `openssl rand -hex 32` makes a good one",
        );
        checks.require(
            self.term >= SHORTEST_TERM,
            "daemon.term",
            "must be at least \"1s\": it is renewed at a third of that, by a query that takes its time",
        );
        checks.require(
            self.provision_interval >= SHORTEST_INTERVAL,
            "daemon.provision_interval",
            "must be at least \"10ms\": the home database is asked each time",
        );
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is no address with a port: write \"127.0.0.1:7070\" or \"[::1]:7070\""
        ))
    })
}
