//! One ADD COLUMN over a fleet: tenantry against PostgreSQL's own limit in the same run.
//!
//! The limit is pgbench sending each tenant one message with the least that the work needs: BEGIN, the settings, the ALTER,
//! the same history row, COMMIT. The two take turns on the same server, with as many connections, on the same tenants;
//! fsync and synchronous_commit are on. `cargo bench --bench fanout -- --tenants 1000 --connections 4 --rounds 5`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{fs, path::Path, process::Command};

use clap::Parser;
use serde_json::json;
use support::{
    Bench,
    fleet::{fleet, sign_up},
    median,
};
use tenantry::{
    config::MaxFailures,
    migration::Scope,
    plan::Goal,
    rollout::{Request, travel},
};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Options {
    /// How many tenants.
    #[arg(long, default_value_t = 1000)]
    tenants: usize,
    /// How many connections each contender has.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How often each contender runs; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    assert!(
        options.tenants.is_multiple_of(options.connections),
        "--tenants must be a multiple of --connections"
    );
    let bench = Bench::start().await;
    let files = tempfile::tempdir().unwrap();
    let empty = fleet(bench.url(), files.path(), options.connections);
    sign_up(bench.url(), &empty, options.tenants).await;
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    println!(
        "{} tenants, {} connections, postgres: {}",
        options.tenants,
        options.connections,
        bench.kind()
    );
    println!(
        "{:>5}  {:>14}  {:>14}  {:>5}",
        "round", "tenantry /s", "pgbench /s", "ratio"
    );
    // The first round warms both up and does not count.
    for round in 0..=options.rounds {
        write_migration(files.path(), round);
        let a = tenantry(&bench, &options, files.path()).await;
        let b = pgbench(&bench, &options, files.path(), round);
        println!(
            "{round:>5}  {a:>14.0}  {b:>14.0}  {:>5.2}{}",
            a / b,
            if round == 0 { "  (warming up)" } else { "" }
        );
        if round > 0 {
            ours.push(a);
            limit.push(b);
        }
    }
    let ratios: Vec<f64> = ours.iter().zip(&limit).map(|(a, b)| a / b).collect();
    let spread = |of: &[f64]| {
        json!([
            of.iter().copied().fold(f64::MAX, f64::min),
            of.iter().copied().fold(0.0, f64::max)
        ])
    };
    println!(
        "{}",
        json!({
            "bench": "fanout",
            "tenants": options.tenants,
            "connections": options.connections,
            "rounds": options.rounds,
            "tenants_per_second": median(&ours),
            "limit_per_second": median(&limit),
            "ungrouped_ratio": median(&ratios),
            "ungrouped_ratio_spread": spread(&ratios),
        })
    );
    bench.stop().await;
}

fn write_migration(files: &Path, round: usize) {
    let write = |direction: &str, sql: String| {
        fs::write(
            files
                .join("tenant")
                .join(format!("{:04}-column-{round}.{direction}.sql", round + 1)),
            sql,
        )
        .unwrap();
    };
    write(
        "up",
        format!("alter table items add column ours_{round} integer;\n"),
    );
    write(
        "down",
        format!("alter table items drop column ours_{round};\n"),
    );
}

/// Tenants a second, from the first message to the last, connecting included.
async fn tenantry(bench: &Bench, options: &Options, files: &Path) -> f64 {
    let fleet = fleet(bench.url(), files, options.connections);
    let request = Request {
        goal: Goal::Latest,
        scopes: &[Scope::Tenant],
        select: &|_| true,
        max_failures: MaxFailures::Count(0),
    };
    let report = travel(&fleet, &request, &CancellationToken::new(), &())
        .await
        .unwrap();
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(report.scopes[0].done(), options.tenants);
    options.tenants as f64 / report.scopes[0].elapsed.as_secs_f64()
}

/// Transactions a second as pgbench counts them: without the time to connect.
fn pgbench(bench: &Bench, options: &Options, files: &Path, round: usize) -> f64 {
    let script = files.join("limit.sql");
    let zeros = "00".repeat(32);
    fs::write(
        &script,
        format!(
            "\\set tenant :client_id * {share} + :done\n\
             \\set done :done + 1\n\
             BEGIN \\; SET LOCAL lock_timeout = 2000 \\; SET LOCAL search_path = \"bench_:tenant\" \\; \
             ALTER TABLE items ADD COLUMN limit_{round} integer \\; \
             INSERT INTO tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, state, \
             how, revision, fence, who, started_at, finished_at, statements_done) VALUES ('bench_:tenant'::regnamespace, \
             'bench_:tenant', '{version}', 'limit', 'up', decode('{zeros}', 'hex'), decode('{zeros}', 'hex'), 'failed', 'run', \
             {version}, 0, 'pgbench', clock_timestamp(), clock_timestamp(), 1) \\; COMMIT;\n",
            share = options.tenants / options.connections,
            version = round + 1,
        ),
    )
    .unwrap();
    let output = Command::new(support::program("pgbench"))
        .args(["-n", "-M", "simple", "-D", "done=0", "-j", "1"])
        .args(["-c", &options.connections.to_string()])
        .args(["-t", &(options.tenants / options.connections).to_string()])
        .args(["-f".as_ref(), script.as_os_str()])
        .arg(bench.url())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "pgbench: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tps = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = "))
        .unwrap();
    tps.split_whitespace().next().unwrap().parse().unwrap()
}
