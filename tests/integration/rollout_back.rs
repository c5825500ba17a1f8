//! What a rollout leaves alone, on its way forth and back: whoever was moved by others, is out of use or cannot be begun.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{
    Small,
    rollouts::{ALL_AT_ONCE, MINUTE, daemon, fleet, json, number, until_number, waves},
    until_within,
};

/// The versions of all schemas, by name; 0 where nothing is applied.
async fn versions(small: &Small) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select schema_name, coalesce(version::bigint, 0) from tenantry.heads")
            .fetch_all(&mut small.connect().await)
            .await
            .unwrap();
    rows.into_iter().collect()
}

/// Waits until a rollout has moved its canaries and waits for a word.
async fn until_it_waits(small: &Small) {
    let mut connection = small.connect().await;
    let waits = "select count(*) from tenantry.rollouts where why like '%waits for `tenantry rollout approve`'";
    until_within(MINUTE, "it waits", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
}

/// The schemas that are in no wave that was begun, in order of name.
async fn not_begun(small: &Small) -> Vec<String> {
    sqlx::query_scalar("select schema_name from tenantry.runs where state = 'pending' order by 1")
        .fetch_all(&mut small.connect().await)
        .await
        .unwrap()
}

const START: [&str; 8] = [
    "rollout",
    "start",
    "--canaries",
    "1",
    "--waves",
    "100%",
    "--approval",
    "canaries",
];

fn ok(small: &Small, arguments: &[&str]) {
    let (code, told) = json(small, arguments);
    assert_eq!(code, 0, "{arguments:?}: {told}");
}

/// Rolls back, and gives what is shown then.
fn rolled_back(small: &Small) -> Value {
    ok(small, &["rollout", "rollback", "--yes"]);
    let (code, shown) = json(small, &["rollout", "watch"]);
    assert_eq!(
        (code, &shown["state"], &shown["back"]),
        (7, &"complete".into(), &true.into()),
        "{shown}"
    );
    shown
}

/// Why schemas were left alone, by name.
fn left(shown: &Value) -> BTreeMap<&str, &str> {
    let troubles = shown["troubles"].as_array().unwrap().iter();
    let skipped = troubles.filter(|trouble| trouble["state"] == "skipped");
    skipped
        .map(|run| {
            (
                run["schema"].as_str().unwrap(),
                run["error"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_others_have_done_is_not_taken_back() {
    let small = fleet(7).await;
    for (set, version) in [("shared", 1), ("shared", 2), ("tenant", 2)] {
        let file = |way: &str| format!("{set}/{version}-s{version}.{way}.sql");
        small.write(&file("up"), &format!("create table s{version} ();"));
        small.write(&file("down"), &format!("drop table s{version};"));
    }
    let _daemon = daemon(&small, &[]);
    ok(&small, &[&START[..], &["--to", "1"]].concat());
    until_it_waits(&small).await;
    let rest = not_begun(&small).await;
    let [before, since, away, ..] = &rest[..] else {
        panic!("{rest:?}");
    };
    // One comes there by itself before its turn.
    ok(&small, &["up", before, "--to", "1"]);
    ok(&small, &["rollout", "approve"]);
    assert_eq!(json(&small, &["rollout", "watch"]).0, 0);
    // One goes on, and the shared schema with it; another one goes away and comes again.
    ok(&small, &["up", since]);
    ok(&small, &["down", away, "--steps", "1", "--yes"]);
    ok(&small, &["up", away, "--to", "1"]);
    let stood = versions(&small).await;
    let shown = rolled_back(&small);
    let stands = versions(&small).await;
    for (name, version) in &stands {
        let is_left = [before, since, away].contains(&name) || !name.starts_with("tenant_");
        let expected = if is_left { stood[name] } else { 0 };
        assert_eq!(*version, expected, "{name}: {shown}");
    }
    assert_eq!(stands[since], 2);
    assert_eq!(stands[before], 1);
    let why = left(&shown);
    assert_eq!(why.len(), 3, "{shown}");
    for schema in [since, away] {
        assert!(why[schema.as_str()].contains("somebody has moved it since"));
    }
    assert_eq!(
        waves(&shown, "skipped")[3..],
        [("back", 2), ("shared back", 1)],
        "{shown}"
    );
    let tally = &shown["tally"];
    assert_eq!(
        (&tally["taken_back"], &tally["moved"], &tally["skipped"]),
        (&4.into(), &2.into(), &2.into()),
        "{tally}"
    );
    assert!(
        shown["why"]
            .as_str()
            .unwrap()
            .starts_with("3 schemas are left as they are"),
        "{shown}"
    );
    let text = small.text(&["rollout", "show"]);
    assert!(
        text.contains(
            "7 tenants, 0 at the goal before; 4 taken back, 2 moved, 0 failed, 2 left alone"
        ),
        "{text}"
    );
    let reverted = format!(
        "select count(*) from tenantry.history where state = 'reverted' and schema_name in ('{before}', '{since}')"
    );
    assert_eq!(number(&mut small.connect().await, &reverted).await, 0);
}

/// Adds a migration with a table of its own to a set.
fn add(small: &Small, set: &str, version: i64) {
    let file = |way: &str| format!("{set}/{version}-{set}{version}.{way}.sql");
    small.write(&file("up"), &format!("create table {set}{version} ();"));
    small.write(&file("down"), &format!("drop table {set}{version};"));
}

#[tokio::test]
async fn the_shared_schema_stays_under_whoever_came_or_went_on_since() {
    let small = fleet(4).await;
    small
        .tenantry(&["up", "tenant_1,tenant_2,tenant_3"])
        .assert()
        .success();
    add(&small, "shared", 2);
    add(&small, "tenant", 3);
    let _daemon = daemon(&small, &[]);
    ok(&small, &["rollout", "start", "--canaries", "0", "--wait"]);
    ok(&small, &["tenant", "add", "late"]);
    add(&small, "tenant", 4);
    ok(&small, &["up", "tenant_2"]);
    ok(&small, &["tenant", "suspend", "tenant_3"]);
    let shown = rolled_back(&small);
    let stands = versions(&small).await;
    let of = |name: &str| stands[name];
    assert_eq!(
        ["tenant_1", "tenant_2", "tenant_3", "tenant_4", "late"].map(of),
        [1, 4, 3, 0, 3],
        "{shown}"
    );
    let shared = "select count(*) from pg_tables where tablename = 'shared2'";
    assert_eq!(
        number(&mut small.connect().await, shared).await,
        1,
        "{shown}"
    );
    let why = left(&shown);
    let (_, why) = why
        .iter()
        .find(|(name, _)| !name.starts_with("tenant_"))
        .unwrap();
    for said in [
        "3 tenants of this shard stay",
        "such as late",
        "`tenantry down --all --rollout 1`",
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert_eq!(waves(&shown, "failed").last(), Some(&("shared back", 0)));
    assert!(
        shown["why"]
            .as_str()
            .unwrap()
            .starts_with("3 schemas are left as they are"),
        "{shown}"
    );
    // As it says: once all of them are back, it goes back, too.
    ok(&small, &["tenant", "resume", "tenant_3"]);
    ok(&small, &["down", "tenant_2,tenant_3", "--to", "1", "--yes"]);
    ok(&small, &["down", "late", "--to", "0", "--yes"]);
    ok(&small, &["down", "--all", "--rollout", "1", "--yes"]);
    assert_eq!(number(&mut small.connect().await, shared).await, 0);
}

#[tokio::test]
async fn the_shared_schema_stays_under_who_could_not_be_taken_back() {
    let small = fleet(3).await;
    add(&small, "shared", 2);
    add(&small, "tenant", 3);
    let _daemon = daemon(&small, &[]);
    ok(&small, &["rollout", "start", "--canaries", "0", "--wait"]);
    // What is to be dropped in one of them is not there.
    small.run("drop table tenant_2.tenant3").await;
    ok(&small, &["rollout", "rollback", "--yes"]);
    let (_, shown) = json(&small, &["rollout", "watch"]);
    let shared = "select count(*) from pg_tables where tablename = 'shared2'";
    assert_eq!(
        number(&mut small.connect().await, shared).await,
        1,
        "{shown}"
    );
    let why = left(&shown);
    assert_eq!(why.len(), 1, "{shown}");
    let why = why.values().next().unwrap();
    assert!(
        why.contains("1 tenant of this shard stays") && why.contains("such as tenant_2"),
        "{why}"
    );
}

#[tokio::test]
async fn an_older_rollout_takes_nothing_back_from_under_a_newer_one() {
    let small = fleet(3).await;
    let start = ["rollout", "start", "--canaries", "0", "--wait"];
    add(&small, "shared", 2);
    add(&small, "tenant", 3);
    let older = daemon(&small, &[]);
    ok(&small, &start);
    drop(older);
    // The newer one has nothing for the shared schema.
    add(&small, "tenant", 4);
    let _newer = daemon(&small, &[]);
    ok(&small, &start);
    ok(&small, &["rollout", "rollback", "1", "--yes"]);
    let (code, shown) = json(&small, &["rollout", "watch", "1"]);
    assert_eq!((code, &shown["state"]), (7, &"complete".into()), "{shown}");
    let why = left(&shown);
    assert_eq!(why.len(), 4, "{shown}");
    let needed = why
        .values()
        .filter(|why| why.contains("3 tenants of this shard stay"));
    assert_eq!(needed.count(), 1, "{shown}");
    let shared = "select count(*) from pg_tables where tablename = 'shared2'";
    assert_eq!(
        number(&mut small.connect().await, shared).await,
        1,
        "{shown}"
    );
}

#[tokio::test]
async fn the_shared_schema_goes_back_from_under_who_stood_higher_before() {
    let small = fleet(3).await;
    add(&small, "tenant", 3);
    small.tenantry(&["up"]).assert().success();
    add(&small, "shared", 2);
    add(&small, "tenant", 4);
    let _daemon = daemon(&small, &[]);
    let start = [
        "rollout",
        "start",
        "tenant_1,tenant_2",
        "--canaries",
        "0",
        "--wait",
    ];
    ok(&small, &start);
    let shown = rolled_back(&small);
    assert_eq!(left(&shown).len(), 0, "{shown}");
    let stands = versions(&small).await;
    let tenants = stands
        .iter()
        .filter(|(name, _)| name.starts_with("tenant_"));
    assert!(
        tenants
            .map(|(_, version)| *version)
            .all(|version| version == 3),
        "{shown}"
    );
    let shared = "select count(*) from pg_tables where tablename = 'shared2'";
    assert_eq!(
        number(&mut small.connect().await, shared).await,
        0,
        "{shown}"
    );
}

#[tokio::test]
async fn whoever_takes_over_tells_what_the_dead_daemon_did_from_what_others_did() {
    let small = fleet(3).await;
    let _daemon = daemon(&small, &[]);
    let start = [
        &START[..2],
        &[
            "--canaries",
            "2",
            "--waves",
            "100%",
            "--approval",
            "canaries",
        ],
    ];
    ok(&small, &start.concat());
    until_it_waits(&small).await;
    let rest = not_begun(&small).await;
    // As if the daemon had died before it could tell of its canaries; another one comes there before its turn.
    small
        .run(
            "update tenantry.runs set state = 'pending', daemon = 0, to_version = null, to_applied = null, to_digest = null,
                                      ended_at = null where wave = 0;
             update tenantry.waves set state = 'running', ended_at = null where number = 0",
        )
        .await;
    ok(&small, &["up", &rest[0]]);
    let mut connection = small.connect().await;
    let told = "select count(*) from tenantry.runs where wave = 0 and state = 'done' and to_digest is not null";
    until_within(MINUTE, "they are taken over", async || {
        number(&mut connection, told).await == 2
    })
    .await;
    ok(&small, &["rollout", "approve"]);
    assert_eq!(json(&small, &["rollout", "watch"]).0, 0);
    // Daemons elsewhere have other names, and are of the same rollout.
    small
        .run("update tenantry.history set who = 'elsewhere-' || who where who like '%, rollout 1'")
        .await;
    let shown = rolled_back(&small);
    let stands: Vec<_> = versions(&small).await.into_iter().collect();
    let left: Vec<_> = stands.iter().filter(|(_, version)| *version > 0).collect();
    assert_eq!(left, [&(rest[0].clone(), 1)], "{shown}");
    assert_eq!(waves(&shown, "done")[2..], [("back", 2)], "{shown}");
}

#[tokio::test]
async fn who_is_out_of_use_is_moved_neither_forth_nor_back_and_who_has_another_name_is() {
    let small = fleet(8).await;
    let _daemon = daemon(&small, &[]);
    ok(&small, &[&START[..], &["--max-failures", "0"]].concat());
    until_it_waits(&small).await;
    let rest = not_begun(&small).await;
    let [suspended, retiring, gone, renamed, later, ..] = &rest[..] else {
        panic!("{rest:?}");
    };
    ok(&small, &["tenant", "suspend", suspended]);
    ok(
        &small,
        &["tenant", "retire", retiring, "--grace", "1h", "--yes"],
    );
    ok(
        &small,
        &["tenant", "retire", gone, "--grace", "0s", "--yes"],
    );
    ok(&small, &["tenant", "rename", renamed, "new_name"]);
    ok(&small, &["rollout", "approve"]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    // Some were not moved, and none has failed.
    assert_eq!((code, &shown["state"]), (1, &"complete".into()), "{shown}");
    assert_eq!(waves(&shown, "failed"), [("canary", 0), ("wave", 0)]);
    let why = left(&shown);
    for (schema, said) in [
        (suspended, "it is suspended"),
        (retiring, "it is being retired"),
        (gone, "it was retired"),
    ] {
        assert!(why[schema.as_str()].contains(said), "{schema}: {why:?}");
    }
    assert_eq!(why.len(), 3, "{shown}");
    let stands = versions(&small).await;
    assert_eq!(
        (stands[suspended], stands[retiring], stands["new_name"]),
        (0, 0, 1)
    );

    ok(&small, &["tenant", "suspend", later]);
    ok(&small, &["tenant", "rename", "new_name", "newer_name"]);
    let shown = rolled_back(&small);
    assert!(left(&shown)[later.as_str()].contains("it is suspended"));
    let stands = versions(&small).await;
    let moved: Vec<_> = stands.iter().filter(|(_, version)| **version > 0).collect();
    assert_eq!(moved, [(later, &1)], "{shown}");
}

#[tokio::test]
async fn what_could_not_be_begun_and_cannot_be_still_is_left_alone_by_a_retry_too() {
    let small = fleet(4).await;
    small
        .run("update tenantry.heads set dirty_version = '1' where schema_name = 'tenant_2'")
        .await;
    let _daemon = daemon(&small, &[]);
    ok(&small, &[&START[..], &["--max-failures", "0"]].concat());
    until_it_waits(&small).await;
    ok(&small, &["rollout", "retry"]);
    ok(&small, &["rollout", "approve"]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!((code, &shown["state"]), (1, &"complete".into()), "{shown}");
    assert_eq!(
        waves(&shown, "failed"),
        [("canary", 0), ("wave", 0)],
        "{shown}"
    );
    let attempts = "select attempts::bigint from tenantry.runs where schema_name = 'tenant_2'";
    assert!(
        number(&mut small.connect().await, attempts).await > 0,
        "it was tried again"
    );
    let why = left(&shown);
    assert!(
        why["tenant_2"].contains("tenantry repair --clear-dirty"),
        "{why:?}"
    );
    // Mended, it was never the rollout's to take back.
    ok(&small, &["repair", "--clear-dirty", "tenant_2", "--yes"]);
    rolled_back(&small);
    assert!(versions(&small).await.values().all(|version| *version == 0));
}

#[tokio::test]
async fn what_is_left_half_done_is_told_with_how_to_mend_it() {
    let small = fleet(3).await;
    small.write(
        "tenant/2-two.up.sql",
        "-- tenantry: no-transaction\ncreate index concurrently i1 on t1 ((1));\n
         create unique index concurrently i2 on t1 ((1));",
    );
    small.write(
        "tenant/2-two.down.sql",
        "-- tenantry: no-transaction\ndrop index concurrently i2;\ndrop index concurrently i1;",
    );
    small.tenantry(&["up", "--to", "1"]).assert().success();
    small
        .run("insert into tenant_2.t1 default values; insert into tenant_2.t1 default values")
        .await;
    let _daemon = daemon(&small, &[]);
    let start = [
        "rollout",
        "start",
        "--canaries",
        "0",
        "--max-failures",
        "50%",
        "--wait",
    ];
    let (code, shown) = json(&small, &start);
    assert_eq!((code, &shown["state"]), (1, &"complete".into()), "{shown}");
    let shown = rolled_back(&small);
    let why = left(&shown);
    assert_eq!(why.len(), 1, "{shown}");
    let why = why["tenant_2"];
    for said in [
        "in the middle of 2",
        "tenantry up TENANT",
        "--clear-dirty",
        "tenantry down",
    ] {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert!(
        shown["why"]
            .as_str()
            .unwrap()
            .starts_with("1 schema is left as it is:"),
        "{shown}"
    );
    let indexes = "select count(*) from pg_indexes where indexname in ('i1', 'i2') and schemaname <> 'tenant_2'";
    assert_eq!(number(&mut small.connect().await, indexes).await, 0);
}

#[tokio::test]
async fn what_several_waves_did_goes_back_unless_somebody_came_between_them() {
    let small = fleet(3).await;
    for (version, phase) in [(2, ""), (3, "-- tenantry: phase=contract\n")] {
        let file = |way: &str| format!("tenant/{version}-t{version}.{way}.sql");
        small.write(&file("up"), &format!("{phase}create table t{version} ();"));
        small.write(&file("down"), &format!("drop table t{version};"));
    }
    let _daemon = daemon(&small, &[]);
    ok(&small, &ALL_AT_ONCE);
    let mut connection = small.connect().await;
    let waits = "select count(*) from tenantry.rollouts where why like 'contract 3 waits for%'";
    until_within(MINUTE, "it waits", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
    ok(&small, &["down", "tenant_1", "--steps", "1", "--yes"]);
    ok(&small, &["up", "tenant_1", "--to", "2"]);
    ok(&small, &["release", "ack", "3"]);
    assert_eq!(json(&small, &["rollout", "watch"]).0, 0);
    let text = small.text(&["rollout", "show"]);
    assert!(
        text.contains("3 tenants, 0 at the goal before; 3 moved, 0 failed"),
        "{text}"
    );
    let shown = rolled_back(&small);
    let stands = versions(&small).await;
    let left_at: Vec<_> = stands.iter().filter(|(_, version)| **version > 0).collect();
    assert_eq!(left_at, [(&"tenant_1".to_owned(), &3)], "{shown}");
    assert!(left(&shown)["tenant_1"].contains("somebody has moved it since"));
    let text = small.text(&["rollout", "show"]);
    assert!(
        text.contains("2 taken back, 1 moved, 0 failed, 1 left alone"),
        "{text}"
    );
}

/// Asks once more that all is taken back, and gives what is shown then.
fn taken_back(small: &Small) -> Value {
    let (code, shown) = json(small, &["rollout", "rollback", "1", "--yes", "--wait"]);
    assert_eq!(
        (code, &shown["state"], &shown["back"]),
        (0, &"complete".into(), &true.into()),
        "{shown}"
    );
    shown
}

fn refused(small: &Small, arguments: &[&str], why: &str) {
    let (code, told) = json(small, arguments);
    assert_ne!(code, 0, "{told}");
    assert!(told.as_str().unwrap().contains(why), "{told}");
}

#[tokio::test]
async fn what_a_way_back_has_left_is_taken_back_once_it_is_mended() {
    let small = fleet(4).await;
    let start = ["rollout", "start", "--canaries", "0", "--max-failures"];
    {
        let _daemon = daemon(&small, &[]);
        ok(&small, &[&start[..], &["50%", "--wait"]].concat());
        small
            .run("create view public.needs as select * from tenant_2.t1")
            .await;
        ok(&small, &["tenant", "suspend", "tenant_3"]);
        let shown = rolled_back(&small);
        assert_eq!(waves(&shown, "failed")[2..], [("back", 1)], "{shown}");
        assert_eq!(waves(&shown, "skipped")[2..], [("back", 1)], "{shown}");
    }
    let on = "`tenantry rollout rollback 1` goes on with what is left to be taken back";
    refused(&small, &["rollout", "retry"], on);
    refused(&small, &["rollout", "resume"], on);
    let unasked = ["rollout", "rollback", "1"];
    assert_ne!(json(&small, &unasked).0, 0, "data goes: somebody is asked");
    // One at a time.
    ok(&small, &["rollout", "start"]);
    let back = ["rollout", "rollback", "1", "--yes"];
    refused(&small, &back, "rollout 2 is waiting");
    ok(&small, &["rollout", "cancel", "2"]);
    let _daemon = daemon(&small, &[]);
    assert_eq!(json(&small, &["rollout", "watch", "2"]).0, 7);

    // What is not mended fails again, within the same budget, and the other one comes back.
    ok(&small, &["tenant", "resume", "tenant_3"]);
    let (code, shown) = json(&small, &[&back[..], &["--wait"]].concat());
    assert_eq!((code, &shown["state"]), (1, &"complete".into()), "{shown}");
    assert_eq!(waves(&shown, "failed")[2..], [("back", 1)], "{shown}");
    assert_eq!(versions(&small).await["tenant_3"], 0, "{shown}");
    small.run("drop view public.needs").await;
    let shown = taken_back(&small);
    assert_eq!(waves(&shown, "done")[2..], [("back", 4)], "{shown}");
    assert!(versions(&small).await.values().all(|version| *version == 0));

    let (code, told) = json(&small, &unasked);
    assert_eq!((code, &told["changed"]), (0, &false.into()), "{told}");
    let text = small.text(&unasked);
    assert!(
        text.contains("rollout 1: nothing is left to be taken back"),
        "{text}"
    );
}

#[tokio::test]
async fn a_way_back_that_was_cancelled_is_gone_on_with() {
    let small = fleet(4).await;
    small.write("shared/1-s1.up.sql", "create table s1 ();");
    small.write("shared/1-s1.down.sql", "drop table s1;");
    let _daemon = daemon(&small, &[]);
    ok(&small, &["rollout", "start", "--canaries", "0", "--wait"]);
    let mut application = small.connect().await;
    sqlx::raw_sql("begin; lock table tenant_2.t1 in access share mode")
        .execute(&mut application)
        .await
        .unwrap();
    ok(&small, &["rollout", "rollback", "--yes"]);
    let back =
        "select count(*) from tenantry.runs where keep_applied is not null and state = 'done'";
    until_number(&small, "the others are taken back", back, 3).await;
    ok(&small, &["rollout", "cancel"]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!((code, &shown["state"]), (7, &"cancelled".into()), "{shown}");
    refused(
        &small,
        &["rollout", "retry"],
        "`tenantry rollout rollback 1` goes on",
    );
    let stands = versions(&small).await;
    let left = stands.values().filter(|version| **version > 0).count();
    assert_eq!(left, 2, "the locked one and what all share: {stands:?}");
    sqlx::raw_sql("rollback")
        .execute(&mut application)
        .await
        .unwrap();
    let shown = taken_back(&small);
    assert_eq!(
        waves(&shown, "done")[3..],
        [("back", 4), ("shared back", 1)],
        "{shown}"
    );
    assert!(versions(&small).await.values().all(|version| *version == 0));
}
