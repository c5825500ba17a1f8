//! Signing up: with schemas that were built ahead, and without.
//!
//! `cargo bench --bench provision -- --tenants 100 --tables 20`
//!
//! What is measured on the server's side is the hand-out: from the moment at which its one statement is sent on an open
//! connection until the answer of its commit has come, on the machine of the server. `wall` is all of `provision::add`, with its
//! connections to the home database and the shard.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::time::Instant;

use clap::Parser;
use serde_json::json;
use support::{Bench, fleet::fleet};
use tenantry::{
    fleet::Fleet,
    provision::{self, By},
    sql::Ident,
    store::{pool, tenants::Labels},
    tenant::TenantName,
};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Options {
    /// How many tenants are added each way.
    #[arg(long, default_value_t = 100)]
    tenants: u32,
    /// How many tables each has, with two indexes.
    #[arg(long, default_value_t = 20)]
    tables: usize,
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
    for number in 1..=options.tables {
        let path = files.path().join("tenant");
        std::fs::create_dir_all(&path).unwrap();
        let up = format!("create table t{number} (id bigserial primary key, name text unique);");
        std::fs::write(path.join(format!("{number}-t.up.sql")), up).unwrap();
        let down = format!("drop table t{number};");
        std::fs::write(path.join(format!("{number}-t.down.sql")), down).unwrap();
    }
    let mut fleet = fleet(&url, files.path(), 1);
    println!("signing up, postgres: {}", bench.kind());

    let built = walls(&fleet, "built", options.tenants, &By::Migrations).await;
    let of = options.tenants * 2;
    (fleet.provision.pool_min, fleet.provision.pool_max) = (of, of);
    let shard = fleet.shards.iter().next().unwrap();
    let kept = provision::keep(&fleet, shard, &CancellationToken::new()).await;
    assert_eq!(kept.unwrap().unwrap().ready, usize::try_from(of).unwrap());
    let server_side = hand_outs(&fleet, options.tenants).await;
    let pooled = walls(&fleet, "pooled", options.tenants, &By::Pool).await;
    for (what, times) in [
        ("handed out, on the server's side", &server_side),
        ("added from the pool, all of it", &pooled),
        ("added without, all of it", &built),
    ] {
        println!("{what}: p50 {:.1} ms, p99 {:.1} ms", times.0, times.1);
    }
    println!(
        "{}",
        json!({
            "bench": "provision",
            "tenants": options.tenants,
            "tables": options.tables,
            "server_p50_ms": server_side.0,
            "server_p99_ms": server_side.1,
            "pool_wall_p50_ms": pooled.0,
            "pool_wall_p99_ms": pooled.1,
            "built_wall_p50_ms": built.0,
            "built_wall_p99_ms": built.1,
        })
    );
    bench.stop().await;
}

/// Adds tenants one after the other, and sees what they were built by.
async fn walls(fleet: &Fleet, prefix: &str, tenants: u32, by: &By) -> (f64, f64) {
    let shard = &fleet.shards.iter().next().unwrap().name;
    let mut times = Vec::new();
    for number in 0..tenants {
        let name = TenantName::new(format!("{prefix}_{number}")).unwrap();
        let start = Instant::now();
        let added = provision::add(fleet, &name, shard, &Labels::new()).await;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(&added.unwrap().built, by);
    }
    percentiles(times)
}

/// Hands out schemas on one connection.
async fn hand_outs(fleet: &Fleet, tenants: u32) -> (f64, f64) {
    let mut session = fleet
        .shard(fleet.shards.iter().next().unwrap())
        .await
        .unwrap();
    let (digest, repeatables) = provision::stands(fleet);
    let mut times = Vec::new();
    for number in 0..tenants {
        let name = Ident::new(format!("given_{number}")).unwrap();
        let start = Instant::now();
        let given = pool::hand_out(session.connection(), &name, digest, repeatables).await;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        assert!(given.unwrap().is_some());
    }
    session.close().await;
    percentiles(times)
}

/// The middle one, and that which one in a hundred is slower than.
fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    (at(50), at(99))
}
