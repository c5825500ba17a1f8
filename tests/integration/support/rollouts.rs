//! Fleets, daemons that carry rollouts, and what they have come to.

use std::{collections::BTreeMap, process::Child, time::Duration};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Several, Small, fleet::empty_tenants, small, until_within};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Starts a rollout of all in one wave, without canaries.
pub(crate) const ALL_AT_ONCE: [&str; 6] =
    ["rollout", "start", "--canaries", "0", "--waves", "100%"];

/// A fleet with so many tenants at nothing applied, and a set of one light migration.
pub(crate) async fn fleet(tenants: usize) -> Small {
    let small = small(1).await;
    empty_tenants(&small.database, &small.fleet, tenants).await;
    small
}

/// A daemon that only carries rollouts.
pub(crate) fn daemon(small: &Small, more: &[(&str, &str)]) -> Daemon {
    let mut command = small.command(&["serve"]);
    command
        .env("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0")
        .env("TENANTRY__DAEMON__APPLY_AT_START", "false")
        .env("TENANTRY__DAEMON__TERM", "2s")
        .env("TENANTRY__LOG__FORMAT", "json")
        .envs(more.iter().copied());
    command.stdout(std::process::Stdio::null());
    if std::env::var_os("SHOW").is_none() {
        command.stderr(std::process::Stdio::null());
    }
    Daemon(command.spawn().unwrap())
}

/// A daemon that carries the rollouts of several databases.
pub(crate) fn daemon_of(several: &Several, more: &[(&str, &str)]) -> Daemon {
    let mut command = super::tenantry();
    command
        .arg("serve")
        .current_dir(several.path())
        .env("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0")
        .env("TENANTRY__DAEMON__APPLY_AT_START", "false")
        .env("TENANTRY__DAEMON__TERM", "2s")
        .envs(more.iter().copied())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    Daemon(command.spawn().unwrap())
}

/// Killed when the test is over.
pub(crate) struct Daemon(pub(crate) Child);

impl Daemon {
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args(["-s", signal, &pid]).status().unwrap().success());
    }

    /// Sends these signals, and waits for the end.
    pub(crate) async fn end(&mut self, signals: &[&str]) {
        signals.iter().for_each(|signal| self.signal(signal));
        until_within(MINUTE, "the daemon has ended", async || {
            self.0.try_wait().unwrap().is_some()
        })
        .await;
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command writes as JSON, and how it ends.
pub(crate) fn json(small: &Small, arguments: &[&str]) -> (i32, Value) {
    let output = small
        .tenantry(&[arguments, &["--output", "json", "--quiet"]].concat())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_slice(&output.stdout);
    let code = output.status.code().unwrap();
    (
        code,
        json.unwrap_or_else(|_| Value::from(said.into_owned())),
    )
}

pub(crate) async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Waits until a query gives this number.
pub(crate) async fn until_number(small: &Small, what: &str, query: &str, expected: i64) {
    let mut connection = small.connect().await;
    until_within(MINUTE, what, async || {
        number(&mut connection, query).await == expected
    })
    .await;
}

/// How many schemas were moved how often, as the histories tell.
pub(crate) async fn moved(small: &Small) -> BTreeMap<i64, i64> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select times, count(*) from (select count(*) as times from tenantry.history group by schema_oid, version, direction) h
          group by times",
    )
    .fetch_all(&mut small.connect().await)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// The kinds of the waves, and a number of each.
pub(crate) fn waves<'a>(shown: &'a Value, key: &str) -> Vec<(&'a str, i64)> {
    let waves = shown["waves"].as_array().unwrap().iter();
    waves
        .map(|wave| (wave["kind"].as_str().unwrap(), wave[key].as_i64().unwrap()))
        .collect()
}
