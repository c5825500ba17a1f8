//! Collecting what is wrong with values that could be read: all of it, so that people correct a file once.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

/// PostgreSQL keeps its timeouts in milliseconds, in 31 bits.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// Key and message of everything wrong so far.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) failed: Vec<(String, String)>,
}

impl Checks {
    /// Unless `holds`, the value of `key` is wrong: `message` says how it should be.
    pub(super) fn require(&mut self, holds: bool, key: &str, message: impl Into<String>) {
        if !holds {
            self.failed.push((key.to_owned(), message.into()));
        }
    }

    /// At least one of something.
    pub(super) fn at_least_one(&mut self, number: u64, key: &str) {
        self.require(number >= 1, key, "must be at least 1");
    }

    /// A timeout that PostgreSQL can keep. To PostgreSQL, 0 is no timeout at all.
    pub(super) fn timeout(&mut self, timeout: Duration, key: &str) {
        self.require(
            timeout >= Duration::from_millis(1),
            key,
            "must be at least \"1ms\": PostgreSQL takes 0 as no limit at all",
        );
        self.require(
            timeout <= LONGEST_TIMEOUT,
            key,
            "must be under 24 days, the longest PostgreSQL can keep",
        );
    }

    /// A PostgreSQL URL. The message never repeats it, nor what the parser says of it.
    pub(super) fn url(&mut self, url: &SecretString, key: &str) {
        let url = url.expose_secret();
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        self.require(
            scheme && PgConnectOptions::from_str(url).is_ok(),
            key,
            "is not a PostgreSQL URL (not shown, it may hold a password): write postgres://user@host:5432/database, \
             with special characters in percent form",
        );
    }
}
