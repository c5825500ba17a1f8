//! Collecting what is wrong with values that could be read: all of it, so that people correct a file once.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

/// PostgreSQL keeps its timeouts in milliseconds, in 31 bits.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// What a URL can hold behind its `?`, beside `options[…]`.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The name of a parameter that the driver does not know. Its value is not told, nor what may be the rest of a password
/// that holds a question mark.
fn unknown_parameter(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next()?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| !PARAMETERS.contains(&&**name) && !name.starts_with("options["))
        .map(|(name, value)| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            match !value.is_empty() && name.chars().all(is_plain) && !query.contains('@') {
                true => name.into_owned(),
                false => "(not shown)".to_owned(),
            }
        })
}

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

    /// An HTTP URL. The message never repeats it.
    pub(super) fn http(&mut self, url: &str, key: &str) {
        let is_http = reqwest::Url::parse(url)
            .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some());
        self.require(
            is_http,
            key,
            "is not an HTTP URL (not shown, it may hold a password): write https://user:password@host:443/path, with \
             special characters in percent form",
        );
    }

    /// A PostgreSQL URL. The message never repeats it, nor what the parser says of it.
    pub(super) fn url(&mut self, url: &SecretString, key: &str) {
        let url = url.expose_secret();
        // Before the driver reads it: that would log the value of what it does not know, which may be a password.
        if let Some(unknown) = unknown_parameter(url) {
            let message = format!(
                "has the parameter {unknown}, which is not known: correct its name, or leave it out"
            );
            return self.require(false, key, message);
        }
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        self.require(
            scheme && PgConnectOptions::from_str(url).is_ok(),
            key,
            "is not a PostgreSQL URL (not shown, it may hold a password): write postgres://user@host:5432/database, \
             with special characters in percent form",
        );
    }
}
