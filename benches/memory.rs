//! What memory a run takes: tenantry's own process over many small tenants, and each of its sessions on the server over
//! tenants of twenty tables.
//!
//! The server has to run on this machine, since its processes are looked at.
//! `cargo bench --bench memory -- --tenants 10000 --heavy 1000`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::Parser;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::{
    Bench,
    fleet::{fleet, sign_up},
};

#[derive(Parser)]
struct Options {
    /// How many tenants with one table the process is measured with.
    #[arg(long, default_value_t = 10_000)]
    tenants: usize,
    /// How many tenants of twenty tables the sessions are measured with.
    #[arg(long, default_value_t = 1000)]
    heavy: usize,
    /// How many connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The most that was seen of anything.
#[derive(Default, Clone, Copy)]
struct Peak {
    /// Of the process, in kB.
    process: u64,
    /// Of any one session, in kB.
    session: u64,
    /// How many sessions there were, one after the other or at once.
    sessions: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    let bench = Bench::start().await;
    println!(
        "{} connections, postgres: {}",
        options.connections,
        bench.kind()
    );
    println!(
        "{:<44} {:>11} {:>15} {:>9}",
        "up", "process", "largest session", "sessions"
    );
    let small = small(&bench, &options).await;
    let heavy = heavy(&bench, &options).await;
    println!(
        "{}",
        json!({
            "bench": "memory",
            "tenants": options.tenants,
            "heavy": options.heavy,
            "connections": options.connections,
            "process_vmhwm_mb": megabytes(small.process.max(heavy.process)),
            "backend_rss_anon_mb": megabytes(small.session.max(heavy.session)),
        })
    );
    bench.stop().await;
}

/// One more column in each of many small tenants.
async fn small(bench: &Bench, options: &Options) -> Peak {
    let url = bench.database("small").await;
    let files = tempfile::tempdir().unwrap();
    sign_up(
        &url,
        &fleet(&url, files.path(), options.connections),
        options.tenants,
    )
    .await;
    write(files.path(), 1, "alter table items add column one integer;");
    let what = format!("a column in {} tenants of one table", options.tenants);
    measure(&what, &url, files.path(), options).await
}

/// Twenty tables of three indexes each: made, altered one by one, and altered in ways that no estimate can see.
async fn heavy(bench: &Bench, options: &Options) -> Peak {
    let url = bench.database("heavy").await;
    let files = tempfile::tempdir().unwrap();
    sign_up(
        &url,
        &fleet(&url, files.path(), options.connections),
        options.heavy,
    )
    .await;
    let (mut make, mut alter) = (String::new(), String::new());
    for table in 1..=20 {
        writeln!(
            make,
            "create table t{table} (id bigint primary key, a text not null, b integer, c timestamptz default now());\n\
             create index on t{table} (a);\ncreate index on t{table} (b, c);"
        )
        .unwrap();
        writeln!(alter, "alter table t{table} add column d integer;").unwrap();
    }
    let hidden = "do $$ begin
                      for number in 1 .. 20 loop
                          execute format('alter table t%s add column e text', number);
                          execute format('update t%s set b = 1 where a = $1', number) using 'x';
                      end loop;
                  end $$;";
    let steps = [
        ("20 tables with 60 indexes made", make.as_str()),
        ("a column in each table", &alter),
        ("the same by a loop", hidden),
    ];
    let mut most = Peak::default();
    for (number, (what, sql)) in steps.into_iter().enumerate() {
        write(files.path(), number + 1, sql);
        let what = format!("{what}, {} tenants", options.heavy);
        let peak = measure(&what, &url, files.path(), options).await;
        most.process = most.process.max(peak.process);
        most.session = most.session.max(peak.session);
    }
    most
}

fn write(files: &Path, version: usize, up: &str) {
    let directory = files.join("tenant");
    fs::write(directory.join(format!("{version}-step.up.sql")), up).unwrap();
    fs::write(
        directory.join(format!("{version}-step.down.sql")),
        "select 1;",
    )
    .unwrap();
}

/// The most that one `up` takes, printed.
async fn measure(what: &str, url: &str, files: &Path, options: &Options) -> Peak {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut up = up(url, files, options);
    let (mut peak, mut seen) = (Peak::default(), BTreeSet::new());
    let status = loop {
        // A high-water mark: the last one before the end is as good as all of them.
        let process = of_process(u64::from(up.id()), "VmHWM:");
        peak.process = peak.process.max(process.unwrap_or(0));
        for session in sessions(&mut connection).await {
            // It may have ended meanwhile.
            let anonymous = of_process(session, "RssAnon:").unwrap_or(0);
            peak.session = peak.session.max(anonymous);
            seen.insert(session);
        }
        if let Some(status) = up.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(status.success(), "{what}: {status}");
    assert!(
        peak.session > 0,
        "the server's processes are not on this machine"
    );
    peak.sessions = seen.len();
    println!(
        "{what:<44} {:>8.1} MB {:>12.1} MB {:>9}",
        megabytes(peak.process),
        megabytes(peak.session),
        peak.sessions
    );
    connection.close().await.unwrap();
    peak
}

fn up(url: &str, files: &Path, options: &Options) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .args(["up", "--output", "json"])
        .current_dir(files)
        .env("TENANTRY__HOME__URL", url)
        .env("TENANTRY__MIGRATIONS__SHARED", "shared")
        .env("TENANTRY__MIGRATIONS__TENANT", "tenant")
        .env(
            "TENANTRY__APPLY__CONCURRENCY",
            options.connections.to_string(),
        )
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The server's processes that work for tenantry in this database.
async fn sessions(connection: &mut PgConnection) -> Vec<u64> {
    let pids: Vec<i32> = sqlx::query_scalar(
        "select pid from pg_stat_activity
          where datname = current_database() and application_name = 'tenantry'",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    pids.into_iter()
        .map(|pid| u64::try_from(pid).unwrap())
        .collect()
}

/// A figure of a process in kB; none where there is no such process.
fn of_process(pid: u64, figure: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure))?;
    line.split_whitespace().next()?.parse().ok()
}

fn megabytes(kilobytes: u64) -> f64 {
    (kilobytes as f64 / 1024.0 * 10.0).round() / 10.0
}
