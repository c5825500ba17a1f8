//! What it takes to look at the structure of every tenant: time, queries, and memory of the server's sessions.
//!
//! `cargo bench --bench fingerprint -- --tenants 1000`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::{
    Bench,
    fleet::{fleet, sign_up},
    median,
};
use tenantry::{
    config::Portion,
    drift::{Course, Groups, Pace, Report, compare},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    travel::{Request, Survey, travel},
};
use tokio_util::sync::CancellationToken;

/// In the small fleet, to see whether the number of queries grows.
const FEW: usize = 10;

#[derive(Parser)]
struct Options {
    /// How many tenants of twenty tables.
    #[arg(long, default_value_t = 1000)]
    tenants: usize,
    /// How many connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How often all of them are looked at; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let options = Options::parse();
    let bench = Bench::start_counting().await;
    println!(
        "{} connections, postgres: {}",
        options.connections,
        bench.kind()
    );
    let mut queries = Vec::new();
    let mut seconds = Vec::new();
    let mut largest = 0;
    for tenants in [FEW, options.tenants] {
        let files = tempfile::tempdir().unwrap();
        let url = bench.database(&format!("fleet_{tenants}")).await;
        sign_up(
            &url,
            &fleet(&url, files.path(), options.connections),
            tenants,
        )
        .await;
        write(files.path());
        let fleet = fleet(&url, files.path(), options.connections);
        up(&fleet).await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        for settle in [
            "create extension pg_stat_statements",
            "vacuum analyze",
            "checkpoint",
        ] {
            sqlx::raw_sql(settle)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        // One of them differs.
        sqlx::raw_sql("alter table bench_7.t7 alter b set default 7")
            .execute(&mut connection)
            .await
            .unwrap();
        queries.push(counted(&mut connection, &fleet, tenants).await);
        seconds.clear();
        for round in 1..=options.rounds {
            let (took, memory) = measured(&mut connection, &fleet, tenants).await;
            println!(
                "{tenants:>6} tenants of 20 tables, round {round}: {took:>6.2} s, {:>5.0} tenants/s, largest session {:.1} MB",
                tenants as f64 / took,
                memory as f64 / 1024.0
            );
            seconds.push(took);
            largest = largest.max(memory);
        }
    }
    println!(
        "{}",
        json!({
            "bench": "fingerprint",
            "tenants": options.tenants,
            "tables": 20,
            "connections": options.connections,
            "seconds": (median(&seconds) * 100.0).round() / 100.0,
            "tenants_per_second": (options.tenants as f64 / median(&seconds)).round(),
            "queries": queries[1],
            "queries_at_10": queries[0],
            "backend_rss_anon_mb": (largest as f64 / 1024.0 * 10.0).round() / 10.0,
        })
    );
    bench.stop().await;
}

/// A migration that makes twenty tables of three indexes each.
fn write(files: &Path) {
    let (mut make, mut drop) = (String::new(), String::new());
    for table in 1..=20 {
        writeln!(
            make,
            "create table t{table} (id bigint generated always as identity primary key, a text not null default 'x', b integer \
             check (b > 0), c timestamptz default now());\n\
             create index on t{table} (a);\ncreate index on t{table} (b, c);"
        )
        .unwrap();
        writeln!(drop, "drop table t{table};").unwrap();
    }
    make.push_str("create view v as select t1.id, t2.a from t1 join t2 using (id);\n");
    let directory = files.join("tenant");
    fs::write(directory.join("1-tables.up.sql"), make).unwrap();
    fs::write(
        directory.join("1-tables.down.sql"),
        format!("drop view v;\n{drop}"),
    )
    .unwrap();
}

async fn up(fleet: &Fleet) {
    let request = Request {
        goal: Goal::Latest,
        scopes: &[Scope::Shared, Scope::Tenant],
        select: &|_| true,
        max_failures: Portion::Count(0),
    };
    let report = travel(fleet, &request, &CancellationToken::new(), &())
        .await
        .unwrap();
    assert!(
        report
            .scopes
            .iter()
            .all(|scope| scope.failures().count() == 0)
    );
}

/// Looks at all tenants: from asking where they stand to what the odd one differs in.
async fn look(fleet: &Fleet, tenants: usize) -> Report {
    let survey = Survey::take(fleet).await.unwrap();
    let mut groups = Groups::of(fleet, &survey, |_| true, true).await.unwrap();
    groups.by_majority();
    let report = compare(
        fleet,
        groups,
        Course::new(Pace::Full, &CancellationToken::new()),
    )
    .await
    .unwrap();
    assert_eq!(
        (report.groups[0].count(), report.drifted()),
        (tenants, 1),
        "{:?}",
        report.not_looked
    );
    report
}

/// How many queries the server counts meanwhile in this database.
async fn counted(connection: &mut PgConnection, fleet: &Fleet, tenants: usize) -> i64 {
    sqlx::query("select pg_stat_statements_reset()")
        .execute(&mut *connection)
        .await
        .unwrap();
    let report = look(fleet, tenants).await;
    println!(
        "{tenants:>6} tenants: {}",
        report.groups[0].odd[0].words().join("; ")
    );
    sqlx::query_scalar(
        "select sum(calls)::bigint from pg_stat_statements
          where dbid = (select oid from pg_database where datname = current_database()) and toplevel
            and query not like '%pg_stat_statements%'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Seconds, and the most memory that a session of ours had, in kB; 0 where the server's processes are not on this machine.
async fn measured(connection: &mut PgConnection, fleet: &Fleet, tenants: usize) -> (f64, u64) {
    let start = Instant::now();
    let looking = look(fleet, tenants);
    tokio::pin!(looking);
    let mut largest = 0;
    loop {
        tokio::select! {
            _ = &mut looking => break,
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                let pids: Vec<i32> = sqlx::query_scalar(
                    "select pid from pg_stat_activity
                      where datname = current_database() and application_name = 'tenantry'",
                )
                .fetch_all(&mut *connection)
                .await
                .unwrap();
                largest = pids.into_iter().filter_map(memory).fold(largest, u64::max);
            }
        }
    }
    (start.elapsed().as_secs_f64(), largest)
}

/// The memory that a process has for itself, in kB.
fn memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse().ok()
}
