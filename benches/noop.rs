//! An `up` that finds nothing to do, as a person runs it: the whole command, at ten tenants and at ten thousand.
//!
//! Then a rollout that finds nothing to do, carried by a daemon: from the moment in which it is asked for to its end, and how
//! many statements had a tenant's search path meanwhile.
//!
//! `cargo bench --bench noop -- --tenants 10000 --rounds 5`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::{
    Bench,
    fleet::{fleet, settings, sign_up},
    median, rollout,
};

#[derive(Parser)]
struct Options {
    /// How many tenants the large fleet has.
    #[arg(long, default_value_t = 10_000)]
    tenants: usize,
    /// How often the command runs on each fleet; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    let bench = Bench::start_counting().await;
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("tenant")).unwrap();
    let write =
        |name: &str, text: &str| fs::write(files.path().join("tenant").join(name), text).unwrap();
    write(
        "1-items.up.sql",
        "create table if not exists items (id bigint primary key);\n",
    );
    write("1-items.down.sql", "drop table items;\n");
    println!("an `up` with nothing to do, postgres: {}", bench.kind());
    let (mut measured, mut rollouts) = (Vec::new(), Vec::new());
    for tenants in [10, options.tenants] {
        let url = bench.database(&format!("fleet_{tenants}")).await;
        sign_up(&url, &fleet(&url, files.path(), 4), tenants).await;
        // Everybody to the head, by the command itself.
        up(&url, files.path());
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("create extension pg_stat_statements")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::raw_sql("vacuum analyze")
            .execute(&mut connection)
            .await
            .unwrap();
        let queries = queries(&mut connection, || up(&url, files.path())).await;
        let times: Vec<f64> = (0..options.rounds)
            .map(|_| up(&url, files.path()).as_secs_f64() * 1000.0)
            .collect();
        println!(
            "{tenants:>7} tenants  {queries:>3} queries  {:>6.0} ms",
            median(&times)
        );
        measured.push((queries, median(&times)));
        rollouts.push(carried(&mut connection, &url, files.path(), options.rounds).await);
    }
    println!(
        "{}",
        json!({
            "bench": "noop",
            "tenants": options.tenants,
            "rounds": options.rounds,
            "queries_at_10": measured[0].0,
            "queries": measured[1].0,
            "milliseconds_at_10": measured[0].1,
            "milliseconds": measured[1].1,
            "rollout_milliseconds_at_10": rollouts[0].0,
            "rollout_milliseconds": rollouts[1].0,
            "statements_with_a_tenants_path": rollouts[1].1,
        })
    );
    bench.stop().await;
}

/// How long a rollout takes that finds nothing to do, by the server's clock, and how many statements set a search path.
async fn carried(
    connection: &mut PgConnection,
    url: &str,
    files: &Path,
    rounds: usize,
) -> (f64, i64) {
    let settings = settings(url, files, 4);
    sqlx::query("select pg_stat_statements_reset()")
        .execute(&mut *connection)
        .await
        .unwrap();
    let took = rollout::carry(&settings, None, rounds).await;
    let times: Vec<f64> = took.iter().map(|took| took.all * 1000.0).collect();
    let paths: i64 = sqlx::query_scalar(
        "select coalesce(sum(calls), 0)::bigint from pg_stat_statements
          where dbid = (select oid from pg_database where datname = current_database())
            and query ilike '%search_path%' and query not ilike '%pg_stat_statements%'",
    )
    .fetch_one(connection)
    .await
    .unwrap();
    println!(
        "         a rollout: {:>6.0} ms, {paths} statements set a search path",
        median(&times)
    );
    (median(&times), paths)
}

/// The time of the whole command, from its start to its end.
fn up(url: &str, files: &Path) -> Duration {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .args(["up", "--output", "json"])
        .current_dir(files)
        .env("TENANTRY__HOME__URL", url)
        .env("TENANTRY__MIGRATIONS__SHARED", "shared")
        .env("TENANTRY__MIGRATIONS__TENANT", "tenant")
        .output()
        .unwrap();
    let took = start.elapsed();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    took
}

/// How many queries the server counts in this database while `work` is done.
async fn queries(connection: &mut PgConnection, work: impl FnOnce() -> Duration) -> i64 {
    sqlx::query("select pg_stat_statements_reset()")
        .execute(&mut *connection)
        .await
        .unwrap();
    work();
    sqlx::query_scalar(
        "select sum(calls)::bigint from pg_stat_statements
          where dbid = (select oid from pg_database where datname = current_database()) and toplevel
            and query not like '%pg_stat_statements%'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}
