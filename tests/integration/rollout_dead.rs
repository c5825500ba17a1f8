//! Runs that nobody sees to any more: a rollout stands still, turns round and ends all the same, and knows what became of each.

use crate::support::{
    Several, Small,
    rollouts::{
        ALL_AT_ONCE, MINUTE, daemon, daemon_of, fleet, json, moved, number, until_number, waves,
    },
    until_within,
};

const AT_WORK: &str = "select count(*) from tenantry.runs where daemon is not null";

/// Adds a migration that waits for whoever holds a lock of its own, as long as that takes.
fn add_gated(small: &Small) {
    small.write(
        "tenant/2-gated.up.sql",
        "create table gated (); select pg_advisory_xact_lock_shared(4242);",
    );
    small.write("tenant/2-gated.down.sql", "drop table gated;");
}

const PATIENT: [(&str, &str); 2] = [
    ("TENANTRY__APPLY__LOCK_TIMEOUT", "60s"),
    ("TENANTRY__APPLY__GROUP_TIME", "0s"),
];

#[tokio::test]
async fn what_a_dead_daemon_had_keeps_nobody_from_pausing_it() {
    let small = fleet(20).await;
    add_gated(&small);
    let mut gate = small.connect().await;
    number(&mut gate, "select 1::bigint from pg_advisory_lock(4242)").await;
    let mut first = daemon(&small, &PATIENT);
    let (code, started) = json(&small, &ALL_AT_ONCE);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    until_within(MINUTE, "it is at work", async || {
        number(&mut connection, AT_WORK).await > 0
    })
    .await;
    first.kill();
    let _second = daemon(&small, &PATIENT);
    assert_eq!(json(&small, &["rollout", "pause"]).0, 0);
    number(&mut gate, "select pg_advisory_unlock(4242)::int::bigint").await;
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!((code, &shown["state"]), (7, &"paused".into()), "{shown}");
    assert_eq!(number(&mut connection, AT_WORK).await, 0);

    assert_eq!(json(&small, &["rollout", "resume"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(waves(&shown, "done"), [("wave", 20)]);
    assert_eq!(moved(&small).await, [(1, 40)].into());
}

#[tokio::test]
async fn what_a_dead_daemon_has_done_is_taken_back_too() {
    let small = fleet(6).await;
    add_gated(&small);
    let mut gate = small.connect().await;
    number(&mut gate, "select 1::bigint from pg_advisory_lock(4242)").await;
    let mut first = daemon(&small, &PATIENT);
    assert_eq!(json(&small, &ALL_AT_ONCE).0, 0);
    let mut connection = small.connect().await;
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
    until_within(MINUTE, "all connections wait at the gate", async || {
        number(&mut connection, waiting).await == 4
    })
    .await;
    first.kill();
    // What its sessions have begun comes through without it, unless the server sees that it is gone.
    number(&mut gate, "select pg_advisory_unlock(4242)::int::bigint").await;
    let sessions = "select count(*) from pg_stat_activity where datname = current_database() and application_name like 'tenantry%'
                       and state = 'active'";
    until_within(MINUTE, "its sessions have ended", async || {
        number(&mut connection, sessions).await == 0
    })
    .await;
    let came_through = "select count(*) from tenantry.heads where version is not null";
    let came_through = number(&mut connection, came_through).await;
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    let _second = daemon(&small, &PATIENT);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!((code, &shown["back"]), (7, &true.into()), "{shown}");
    let back: i64 = waves(&shown, "done").iter().map(|(_, done)| done).sum();
    assert_eq!(back, came_through, "{shown}");
    let rest = "select count(*) from tenantry.heads where version is not null";
    assert_eq!(number(&mut connection, rest).await, 0, "{shown}");
    assert_eq!(number(&mut connection, AT_WORK).await, 0);
}

#[tokio::test]
async fn whoever_has_to_wait_for_its_turn_keeps_nobody_of_its_lot_waiting() {
    let small = fleet(14).await;
    small.write(
        "tenant/2-index.up.sql",
        "-- tenantry: no-transaction\ncreate index concurrently i2 on t1 ((1));",
    );
    small.write("tenant/2-index.down.sql", "drop index i2;");
    small.tenantry(&["up", "tenant_1?"]).assert().success();
    small.write("tenant/3-t3.up.sql", "create table t3 ();");
    small.write("tenant/3-t3.down.sql", "drop table t3;");
    small
        .run(
            "with d as (insert into tenantry.daemons (name, expires_at) values ('d', now() + interval '1 h') returning id)
             insert into tenantry.slots (shard, number, daemon) select 'main/concurrently', 1, id from d",
        )
        .await;
    let _daemon = daemon(&small, &[("TENANTRY__APPLY__CONCURRENCY", "1")]);
    assert_eq!(json(&small, &ALL_AT_ONCE).0, 0);
    let mut connection = small.connect().await;
    let done = "select count(*) from tenantry.runs where state = 'done'";
    until_within(MINUTE, "those without an index are done", async || {
        number(&mut connection, done).await == 5
    })
    .await;
    assert_eq!(json(&small, &["rollout", "pause"]).0, 0);
    let (_, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(shown["state"], "paused", "{shown}");
    assert_eq!(number(&mut connection, AT_WORK).await, 0);
    small
        .run("update tenantry.slots set daemon = null where shard = 'main/concurrently'")
        .await;
    assert_eq!(json(&small, &["rollout", "resume"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(waves(&shown, "done"), [("wave", 14)]);
}

#[tokio::test]
async fn a_small_wave_is_shared_by_all_connections() {
    let small = fleet(4).await;
    add_gated(&small);
    let mut gate = small.connect().await;
    number(&mut gate, "select 1::bigint from pg_advisory_lock(4242)").await;
    let _daemon = daemon(&small, &PATIENT);
    assert_eq!(json(&small, &ALL_AT_ONCE).0, 0);
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
    let mut connection = small.connect().await;
    until_within(MINUTE, "all are at the gate", async || {
        number(&mut connection, waiting).await == 4
    })
    .await;
    number(&mut gate, "select pg_advisory_unlock(4242)::int::bigint").await;
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
}

#[tokio::test]
async fn whoever_loses_its_connections_goes_on_with_new_ones() {
    let small = fleet(300).await;
    let pace = [
        ("TENANTRY__APPLY__DDL_PER_SECOND", "200"),
        ("TENANTRY__APPLY__GROUP_TIME", "0s"),
    ];
    let _daemon = daemon(&small, &pace);
    assert_eq!(json(&small, &ALL_AT_ONCE).0, 0);
    let mut connection = small.connect().await;
    let done = "select count(*) from tenantry.runs where state = 'done'";
    until_within(MINUTE, "some are moved", async || {
        number(&mut connection, done).await > 20
    })
    .await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
    assert!(number(&mut connection, cut).await > 4);
    until_number(&small, "all are moved", done, 300).await;
    until_number(&small, "nothing is kept", AT_WORK, 0).await;
    let slots = "select count(daemon) from tenantry.slots";
    until_number(&small, "no connection is kept", slots, 0).await;
    assert_eq!(moved(&small).await, [(1, 300)].into());
}

#[tokio::test]
async fn nobody_waits_for_what_a_dead_daemon_had_on_a_shard_that_is_away() {
    let mut several = Several::with(&[("eu1", 1), ("eu2", 1)]).await;
    several.migration(
        "tenant/2-gated",
        "create table gated (); select pg_advisory_xact_lock_shared(4242)",
        "drop table gated",
    );
    let mut gate = several.shards["eu2"].connect().await;
    number(&mut gate, "select 1::bigint from pg_advisory_lock(4242)").await;
    let mut first = daemon_of(&several, &PATIENT);
    let run = |arguments: &[&str]| {
        let ran = several.run(&[arguments, &["--output", "json", "--quiet"]].concat());
        assert_eq!(ran.code, 0, "{}", ran.screen());
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    run(&ALL_AT_ONCE);
    let mut home = several.home.connect().await;
    let at_gate = "select count(*) from tenantry.runs where state = 'done'
                      and exists (select from tenantry.runs where daemon is not null)";
    until_within(MINUTE, "one is moved, the other at the gate", async || {
        number(&mut home, at_gate).await == 1
    })
    .await;
    first.kill();
    run(&["rollout", "rollback", "--yes"]);
    several.away(&["eu2"]);
    let mut second = daemon_of(&several, &PATIENT);
    let back = "select count(*) from tenantry.runs r join tenantry.waves w on w.rollout = r.rollout and w.number = r.wave
                 where w.kind = 'back' and r.state = 'done'";
    until_within(MINUTE, "the other shard has gone back", async || {
        number(&mut home, back).await == 1
    })
    .await;
    second.kill();
    // It may have come through meanwhile, or not.
    number(&mut gate, "select pg_advisory_unlock(4242)::int::bigint").await;
    several.away(&[]);
    let _third = daemon_of(&several, &PATIENT);
    let ran = several.run(&["rollout", "watch", "--quiet"]);
    assert_eq!(ran.code, 7, "{}", ran.screen());
    let first_versions = several.versions("eu1").await;
    assert_eq!(first_versions, [Some("1".to_owned())]);
    assert_eq!(several.versions("eu2").await, first_versions);
}
