//! A thousand tenants retired on a server with default settings for locks, while an application goes on working.
//!
//! `cargo bench --bench retire -- --tenants 1000 --tables 20`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use support::{Bench, fleet::fleet};
use tokio::sync::watch;

#[derive(Parser)]
struct Options {
    /// How many tenants are retired.
    #[arg(long, default_value_t = 1_000)]
    tenants: usize,
    /// How many tables each has, with three indexes.
    #[arg(long, default_value_t = 20)]
    tables: usize,
    /// How many are retired at once.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    let bench = Bench::start_with_room().await;
    let url = bench.database("fleet").await;
    let files = tempfile::tempdir().unwrap();
    println!("retiring tenants, postgres: {}", bench.kind());
    let start = Instant::now();
    sign_up(&url, files.path(), &options).await;
    println!(
        "{} tenants of {} tables signed up in {:.0} s",
        options.tenants,
        options.tables,
        start.elapsed().as_secs_f64()
    );

    let (done, ended) = watch::channel(false);
    let start = Instant::now();
    let retiring = async {
        let report = retire(&url, files.path(), options.connections).await;
        let took = start.elapsed();
        done.send(true).unwrap();
        (report, took)
    };
    let ((report, took), application, peak) = tokio::join!(
        retiring,
        application(&url, options.tables, ended.clone()),
        peak(&url, ended.clone())
    );
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("select count(*) from pg_namespace where nspname ~ '^bench_'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    let a_second = options.tenants as f64 / took.as_secs_f64();
    println!(
        "retired in {:.1} s ({a_second:.1}/s), {} failed, {left} schemas left",
        took.as_secs_f64(),
        report["failed"]
    );
    println!(
        "at most {} locks at once, {} of one transaction; room by the settings: 6,400",
        peak.all, peak.one
    );
    println!(
        "the application meanwhile: {} transactions, {} errors, the slowest {:.0} ms",
        application.transactions, application.errors, application.slowest
    );
    println!(
        "{}",
        json!({
            "bench": "retire",
            "tenants": options.tenants,
            "tables": options.tables,
            "seconds": took.as_secs_f64(),
            "tenants_a_second": a_second,
            "failed": report["failed"],
            "left": left,
            "peak_locks": peak.all,
            "peak_locks_of_one": peak.one,
            "application_transactions": application.transactions,
            "application_errors": application.errors,
            "application_slowest_ms": application.slowest,
        })
    );
    connection.close().await.unwrap();
    bench.stop().await;
}

/// Tenants of so many tables with three indexes each, and one that stays: the application's.
async fn sign_up(url: &str, files: &Path, options: &Options) {
    let fleet = fleet(url, files, options.connections);
    fleet.home().await.unwrap().close().await;
    let shard = fleet.shards.iter().next().unwrap();
    fleet.shard(shard).await.unwrap().close().await;
    let (tenants, tables) = (options.tenants, options.tables);
    let text = format!(
        "do $$ declare name text; begin
             for tenant in 0 .. {tenants} loop
                 name := case tenant when {tenants} then 'stays' else 'bench_' || tenant end;
                 execute format('create schema %I', name);
                 for number in 1 .. {tables} loop
                     execute format('create table %I.t%s (id bigserial primary key, name text unique, of bigint)', name, number);
                     execute format('create index on %I.t%s (of)', name, number);
                     if number > 1 then
                         execute format('alter table %I.t%s add foreign key (of) references %I.t%s', name, number, name, number - 1);
                     end if;
                 end loop;
                 insert into tenantry.tenants (name, shard, state) values (name, 'main', 'active');
                 insert into tenantry.heads (schema_oid, schema_name) values (name::regnamespace, name);
                 -- Locks are held to the end of a transaction, and there is room for so many only.
                 commit;
             end loop;
         end $$"
    );
    let mut connection = PgConnection::connect(url).await.unwrap();
    // A server that is in use has looked at its catalogs.
    let settle =
        "vacuum analyze pg_class, pg_attribute, pg_depend, pg_type, pg_index, pg_constraint";
    for text in [text.as_str(), settle, "checkpoint"] {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

/// The command, as a person runs it, and what it reports.
async fn retire(url: &str, files: &Path, connections: usize) -> Value {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .args(["tenant", "retire", "bench_*", "--yes", "--output", "json"])
        .current_dir(files)
        .env("TENANTRY__HOME__URL", url)
        .env("TENANTRY__MIGRATIONS__SHARED", "shared")
        .env("TENANTRY__MIGRATIONS__TENANT", "tenant")
        .env("TENANTRY__APPLY__CONCURRENCY", connections.to_string())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What an application went through.
#[derive(Default)]
struct Application {
    transactions: usize,
    errors: usize,
    /// In milliseconds.
    slowest: f64,
}

/// Writes to every table of a tenant in one transaction, again and again.
async fn application(url: &str, tables: usize, ended: watch::Receiver<bool>) -> Application {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let write = |number| format!("insert into stays.t{number} (name) values (gen_random_uuid());");
    let text = (1..=tables).map(write).collect::<String>();
    let text = format!("begin; {text} commit");
    let mut seen = Application::default();
    while !*ended.borrow() {
        let start = Instant::now();
        let result = sqlx::raw_sql(AssertSqlSafe(text.clone()))
            .execute(&mut connection)
            .await;
        seen.slowest = seen.slowest.max(start.elapsed().as_secs_f64() * 1000.0);
        seen.transactions += 1;
        if let Err(error) = result {
            println!("the application met: {error}");
            seen.errors += 1;
            let _ = sqlx::raw_sql("rollback").execute(&mut connection).await;
        }
    }
    seen
}

/// The most locks that were seen.
#[derive(Default)]
struct Peak {
    all: i64,
    one: i64,
}

/// Looks at the lock table fifty times a second.
async fn peak(url: &str, mut ended: watch::Receiver<bool>) -> Peak {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut peak = Peak::default();
    while !*ended.borrow() {
        let (all, one): (i64, i64) = sqlx::query_as(
            "select coalesce(sum(locks), 0)::bigint, coalesce(max(locks), 0)
               from (select count(*) as locks from pg_locks where pid <> pg_backend_pid() and not fastpath group by pid) l",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        peak.all = peak.all.max(all);
        peak.one = peak.one.max(one);
        // Or the end, whichever is first.
        let _ = tokio::time::timeout(Duration::from_millis(20), ended.changed()).await;
    }
    peak
}
