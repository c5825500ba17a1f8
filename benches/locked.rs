//! A tenant that an application has locked while all are moved: how late the others are, and how long its readers wait.
//!
//! `cargo bench --bench locked -- --tenants 50 --seconds 30`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::{
    Bench,
    fleet::{fleet, sign_up},
};
use tenantry::{
    config::Portion,
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    travel::{Observer, Report, Request, Run, travel},
};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Options {
    /// How many tenants there are; one of them is locked.
    #[arg(long, default_value_t = 50)]
    tenants: usize,
    /// For how many seconds it is locked.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many sessions read it all the time.
    #[arg(long, default_value_t = 4)]
    readers: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// When each tenant has ended, since the beginning.
struct Ends(Instant, Mutex<Vec<(String, Duration)>>);

impl Observer for Ends {
    fn ended(&self, _scope: Scope, run: &Run) {
        let schema = run.target.schema.as_str().to_owned();
        self.1.lock().unwrap().push((schema, self.0.elapsed()));
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let options = Options::parse();
    let bench = Bench::start().await;
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("tenant")).unwrap();
    let write =
        |name: &str, text: &str| fs::write(files.path().join("tenant").join(name), text).unwrap();
    write(
        "1-notes.up.sql",
        "alter table items add column note text;\n",
    );
    write("1-notes.down.sql", "alter table items drop column note;\n");
    let url = bench.database("locked").await;
    let mut fleet = fleet(&url, files.path(), 4);
    sign_up(&url, &fleet, options.tenants).await;
    println!(
        "one of {} tenants locked for {} s, postgres: {}",
        options.tenants,
        options.seconds,
        bench.kind()
    );

    let (mut holder, pid) = hold(&url).await;
    // First so few tries that it is given up: the report has to say who was in the way.
    let lock_timeout = fleet.limits.lock_timeout;
    let tries = std::mem::replace(&mut fleet.limits.lock_tries, 2);
    let report = up(&fleet, &|tenant| tenant == LOCKED, &()).await;
    let named = report.scopes[0].failures().any(|(_, failure)| {
        let mut blockers = failure.blockers.iter();
        blockers.any(|blocker| blocker.activity.pid == Some(pid))
    });
    fleet.limits.lock_tries = tries;

    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..options.readers)
        .map(|_| tokio::spawn(read(url.clone(), Arc::clone(&over))))
        .collect();
    let ends = Ends(Instant::now(), Mutex::default());
    let free = async {
        tokio::time::sleep(Duration::from_secs(options.seconds)).await;
        sqlx::raw_sql("rollback")
            .execute(&mut holder)
            .await
            .unwrap();
    };
    let (report, ()) = tokio::join!(up(&fleet, &|_| true, &ends), free);
    over.store(true, Ordering::Relaxed);
    assert!(report.is_complete(), "{report:#?}");
    let mut waits = Vec::new();
    for reader in readers {
        waits.extend(reader.await.unwrap());
    }
    waits.sort();
    let share = |share: f64| {
        let index = (waits.len() as f64 * share) as usize;
        waits[index.min(waits.len() - 1)].as_secs_f64() * 1000.0
    };
    let (p50, p99, most) = (share(0.5), share(0.99), share(1.0));
    let ends = ends.1.into_inner().unwrap();
    let latest = |locked: bool| {
        let ends = ends
            .iter()
            .filter(|(schema, _)| (schema == LOCKED) == locked);
        ends.map(|(_, end)| end.as_millis()).max().unwrap()
    };
    println!(
        "{} reads: p50 {p50:.1} ms, p99 {p99:.1} ms, longest {most:.1} ms",
        waits.len()
    );
    println!(
        "the others were done after {} ms, the locked one after {} ms",
        latest(false),
        latest(true)
    );
    println!(
        "{}",
        json!({
            "bench": "locked",
            "tenants": options.tenants,
            "locked_ms": options.seconds * 1000,
            "lock_timeout_ms": lock_timeout.as_millis() as u64,
            "reads": waits.len(),
            "p50_wait_ms": p50,
            "p99_wait_ms": p99,
            "max_wait_ms": most,
            "others_done_ms": latest(false) as u64,
            "locked_done_ms": latest(true) as u64,
            "blocker_named": named,
        })
    );
    bench.stop().await;
}

/// The tenant that is locked.
const LOCKED: &str = "bench_7";

/// An application that has read a table of the tenant, and whose transaction goes on.
async fn hold(url: &str) -> (PgConnection, i32) {
    let mut holder = PgConnection::connect(url).await.unwrap();
    let held = "begin; select count(*) from bench_7.items";
    sqlx::raw_sql(held).execute(&mut holder).await.unwrap();
    let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut holder);
    let pid = pid.await.unwrap();
    (holder, pid)
}

/// Reads the locked tenant's table until it is over, and returns how long each read took.
async fn read(url: String, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        sqlx::query("select id from bench_7.items limit 1")
            .execute(&mut connection)
            .await
            .unwrap();
        waits.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    waits
}

async fn up(fleet: &Fleet, select: &(dyn Fn(&str) -> bool + Sync), ends: &dyn Observer) -> Report {
    let request = Request {
        goal: Goal::Latest,
        scopes: &[Scope::Tenant],
        select: &|standing| select(standing.target.schema.as_str()),
        max_failures: Portion::Count(0),
    };
    travel(fleet, &request, &CancellationToken::new(), ends)
        .await
        .unwrap()
}
