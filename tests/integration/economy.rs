//! What the fleet costs in messages and queries: it must not be more than promised, whatever the number of tenants.

use std::{fs, time::Duration};

use tenantry::{
    fleet::Fleet,
    plan::Goal,
    postgres::Connection,
    store::runs::{self, Of},
    tenant::ShardName,
};

use crate::support::{
    database,
    fleet::{UP, empty_tenants, go, with_sets},
    proxy::Proxy,
    rollouts::number,
    small,
};

/// A set of one migration, which is one transaction.
fn one_migration() -> tempfile::TempDir {
    let files = tempfile::tempdir().unwrap();
    for scope in ["shared", "tenant"] {
        fs::create_dir(files.path().join(scope)).unwrap();
    }
    fs::write(
        files.path().join("tenant/1-items.up.sql"),
        "create table items (id bigint primary key);",
    )
    .unwrap();
    fs::write(
        files.path().join("tenant/1-items.down.sql"),
        "drop table items;",
    )
    .unwrap();
    files
}

fn fleet(url: &str, files: &tempfile::TempDir) -> Fleet {
    with_sets(
        url,
        &files.path().join("shared"),
        &files.path().join("tenant"),
    )
}

#[tokio::test]
async fn a_transactional_plan_is_one_message_a_tenant() {
    const TENANTS: usize = 1000;
    let (database, files) = (database().await, one_migration());
    empty_tenants(&database, &fleet(&database.url, &files), TENANTS).await;
    let proxy = Proxy::start(&database.url).await;
    let mut fleet = fleet(&proxy.url_for(&database.url), &files);
    fleet.limits.group_time = Duration::ZERO;
    // Whoever is slow is looked at from a second connection, the sooner the less it may wait for locks: none is here.
    fleet.limits.lock_tries = 1;
    fleet.limits.lock_timeout = Duration::from_secs(600);
    let report = go(&fleet, Goal::Latest, UP).await;
    assert_eq!(report.scopes[1].done(), TENANTS, "{report:#?}");
    let traffic = proxy.traffic();
    let per_tenant = traffic.round_trips as f64 / TENANTS as f64;
    assert!(
        per_tenant <= 1.2,
        "{per_tenant} round trips a tenant, connecting included"
    );
    let simple = traffic
        .messages
        .iter()
        .filter(|message| **message == b'Q')
        .count();
    assert!(
        (TENANTS..TENANTS + 10).contains(&simple),
        "{simple} simple queries for {TENANTS} tenants"
    );
}

#[tokio::test]
async fn nothing_to_do_costs_the_same_for_ten_tenants_and_for_ten_thousand() {
    let mut counts = Vec::new();
    for tenants in [10, 10_000] {
        let (database, files) = (database().await, one_migration());
        let fleet = fleet(&database.url, &files);
        empty_tenants(&database, &fleet, tenants).await;
        sqlx::query("create extension pg_stat_statements")
            .execute(&mut database.connect().await)
            .await
            .unwrap();
        // All at the head, without running anything: only the counting matters here.
        sqlx::query("update tenantry.heads set version = '1', digest = $1")
            .bind(digest_of_all(&fleet))
            .execute(&mut database.connect().await)
            .await
            .unwrap();
        go(&fleet, Goal::Latest, UP).await;
        database.queries().await;
        let report = go(&fleet, Goal::Latest, UP).await;
        assert_eq!(
            (report.scopes[1].current, report.scopes[1].runs.len()),
            (tenants, 0)
        );
        counts.push(database.queries().await);
    }
    assert_eq!(
        counts[0], counts[1],
        "queries of an `up` that finds nothing to do"
    );
    assert!(counts[0] > 0, "pg_stat_statements has counted nothing");
}

fn digest_of_all(fleet: &Fleet) -> Vec<u8> {
    use tenantry::history::{Applied, Digest};
    let all: Vec<_> = fleet
        .tenant
        .migrations
        .iter()
        .map(|m| Applied::of(m))
        .collect();
    Digest::of(&all).0.to_vec()
}

#[tokio::test]
async fn a_claim_reads_little_more_than_what_it_claims() {
    let small = small(1).await;
    small.tenantry(&["tenant", "list"]).assert().success();
    small
        .run(
            "insert into tenantry.daemons (name, expires_at) values ('d', now() + interval '1 h');
             insert into tenantry.rollouts (strategy, files, state, targets, targets_hash, who, begun_at)
             select '{}', hash, 'running', 5000, hash, 'test', now() from sha256('') as hash;
             insert into tenantry.waves (rollout, number, kind, targets, budget, state)
             select id, 0, 'wave', 5000, 0, 'running' from tenantry.rollouts;
             insert into tenantry.runs (rollout, wave, position, shard, schema_name, from_digest, from_applied)
             select id, 0, n, 'main', 't' || n, targets_hash, 0 from tenantry.rollouts, generate_series(1, 5000) as n",
        )
        .await;
    let mut connection = small.connect().await;
    let daemon = number(&mut connection, "select id from tenantry.daemons").await;
    let rollout = number(&mut connection, "select id from tenantry.rollouts").await;
    let mut connection: Connection = connection.into();
    sqlx::raw_sql("begin")
        .execute(&mut *connection)
        .await
        .unwrap();
    let of = Of { rollout, wave: 0 };
    let claimed = runs::claim(&mut connection, of, &ShardName::new("main"), daemon, 100).await;
    assert_eq!(claimed.unwrap().len(), 100);
    let read = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables
                 where schemaname = 'tenantry' and relname = 'runs'";
    let read = number(&mut connection, read).await;
    assert!(read <= 500, "{read} rows were read");
}
