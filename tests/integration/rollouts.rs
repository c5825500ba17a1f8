//! Rollouts: the fleet moved wave by wave, by daemons that are started and killed as they are in production.

use std::{collections::BTreeMap, process::Child, time::Instant};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{Small, fleet::empty_tenants, small, until_within};

/// A fleet with so many tenants at nothing applied, and a set of one light migration.
async fn fleet(tenants: usize) -> Small {
    let small = small(1).await;
    empty_tenants(&small.database, &small.fleet, tenants).await;
    small
}

/// A daemon that only carries rollouts.
fn daemon(small: &Small, more: &[(&str, &str)]) -> Daemon {
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

/// Killed when the test is over.
struct Daemon(Child);

impl Daemon {
    fn kill(&mut self) {
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
fn json(small: &Small, arguments: &[&str]) -> (i32, Value) {
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

async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .unwrap()
}

/// How many schemas were moved how often, as the histories tell.
async fn moved(small: &Small) -> BTreeMap<i64, i64> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select times, count(*) from (select count(*) as times from tenantry.history group by schema_oid, version, direction) h
          group by times",
    )
    .fetch_all(&mut small.connect().await)
    .await
    .unwrap();
    rows.into_iter().collect()
}

#[tokio::test]
async fn what_a_killed_daemon_had_is_taken_over_and_everybody_is_moved_once() {
    let small = fleet(1000).await;
    let pace = [("TENANTRY__APPLY__DDL_PER_SECOND", "300")];
    let (mut first, _second) = (daemon(&small, &pace), daemon(&small, &pace));
    let start = ["rollout", "start", "--canaries", "1%", "--waves", "10%"];
    let (code, started) = json(&small, &start);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let name = format!("% pid {}", first.0.id());
    let at_work = format!(
        "select count(*) from tenantry.runs r join tenantry.daemons d on d.id = r.daemon
          where r.wave = 2 and r.state = 'running' and d.name like '{name}'"
    );
    until_within(
        std::time::Duration::from_secs(60),
        "the first is at work in the last wave",
        async || number(&mut connection, &at_work).await > 0,
    )
    .await;
    first.kill();
    let (killed, done) = (
        Instant::now(),
        "select count(*) from tenantry.rollouts where state = 'complete'",
    );
    until_within(
        std::time::Duration::from_secs(60),
        "it is complete",
        async || number(&mut connection, done).await == 1,
    )
    .await;
    eprintln!("complete {:?} after the kill", killed.elapsed());
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    let kinds: Vec<_> = shown["waves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (w["kind"].as_str().unwrap(), w["done"].as_i64().unwrap()))
        .collect();
    assert_eq!(kinds, [("canary", 10), ("wave", 90), ("wave", 900)]);
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 1000)]));
}
