//! How rollouts are planned: what cannot be looked at holds nobody up, what is away comes last, and waves that grow. And what is
//! told of them.

use std::time::Duration;

use tenantry::store::overview::overview;

use crate::support::{
    Several,
    rollouts::{MINUTE, daemon, daemon_of, fleet, json, number, until_number, waves},
    small, until_within,
};

#[tokio::test]
async fn whoever_pauses_a_rollout_is_heard_while_it_is_planned() {
    let small = fleet(3).await;
    // Nothing else of a daemon looks there.
    let mut daemon = daemon(&small, &[("TENANTRY__DRIFT__INTERVAL", "0s")]);
    let lives = "select count(*) from tenantry.daemons";
    until_number(&small, "the daemon lives", lives, 1).await;
    let mut stranger = small.connect().await;
    sqlx::raw_sql("begin; lock tenantry.drifted in access exclusive mode")
        .execute(&mut stranger)
        .await
        .unwrap();
    assert_eq!(json(&small, &["rollout", "start"]).0, 0);
    let told = "select count(*) from tenantry.rollouts where why = 'it is planned'";
    until_number(&small, "it says what it does", told, 1).await;
    let (code, paused) = json(&small, &["rollout", "pause"]);
    assert_eq!(code, 0, "{paused}");
    // Planning has ended, and so has its statement.
    until_number(&small, "it does nothing", told, 0).await;
    let waits = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
                  where not l.granted and a.query ilike '%drifted%' and a.application_name like 'tenantry%'";
    until_number(&small, "nothing waits", waits, 0).await;
    // Neither does whoever ends the daemon wait.
    assert_eq!(json(&small, &["rollout", "resume"]).0, 0);
    until_number(&small, "it is planned again", told, 1).await;
    let ending = daemon.end(&["TERM"]);
    tokio::time::timeout(Duration::from_secs(8), ending)
        .await
        .expect("it waits for its plan");
    assert!(daemon.0.try_wait().unwrap().unwrap().success());
}

/// What a command says as JSON.
fn said(several: &Several, arguments: &[&str]) -> (i32, serde_json::Value) {
    let ran = several.run(&[arguments, &["--output", "json", "--quiet"]].concat());
    let json = serde_json::from_str(&ran.stdout);
    (ran.code, json.unwrap_or_else(|_| ran.screen().into()))
}

fn versions(of: &[&str]) -> Vec<Option<String>> {
    of.iter()
        .map(|version| Some((*version).to_owned()))
        .collect()
}

#[tokio::test]
async fn who_is_on_a_shard_that_is_away_waits_behind_all_others_and_goes_back_no_further_than_it_came_from()
 {
    let mut several = Several::with(&[("eu1", 3), ("eu2", 2)]).await;
    several.migration("shared/2-more", "create table more ()", "drop table more");
    // It needs what the shared migration makes.
    several.migration(
        "tenant/2-more",
        "create view more as select * from tenantry_shared.more",
        "drop view more",
    );
    let text = std::fs::read_to_string(several.path().join("tenant/2-more.up.sql")).unwrap();
    let shared = several.settings().migrations.shared_schema.to_string();
    let text = text.replace("tenantry_shared", &shared);
    std::fs::write(several.path().join("tenant/2-more.up.sql"), text).unwrap();
    several.away(&["eu2"]);
    let mut first = daemon_of(&several, &[]);
    let (code, started) = said(
        &several,
        &["rollout", "start", "--canaries", "1", "--waves", "50%"],
    );
    assert_eq!(code, 0, "{started}");
    let mut home = several.home.connect().await;
    let others = "select count(*) from tenantry.runs where shard = 'eu1' and state = 'done'";
    until_within(MINUTE, "the others are moved", async || {
        number(&mut home, others).await == 4
    })
    .await;
    let told = "select count(*) from tenantry.runs where shard = 'eu2' and error is not null";
    until_within(MINUTE, "it is told for what it waits", async || {
        number(&mut home, told).await == 1
    })
    .await;
    let (_, shown) = said(&several, &["rollout", "show"]);
    assert_eq!(shown["state"], "running", "{shown}");
    let kinds = [
        ("shared", 1),
        ("canary", 1),
        ("wave", 1),
        ("wave", 1),
        ("shared", 1),
        ("wave", 2),
    ];
    assert_eq!(waves(&shown, "targets"), kinds);
    let why = shown["events"][1]["why"].as_str().unwrap();
    assert!(
        why.contains("eu2 is away, and 3 of its schemas wait"),
        "{why}"
    );
    first.kill();

    several.away(&[]);
    let _second = daemon_of(&several, &[]);
    let (code, shown) = said(&several, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(several.versions("eu2").await, versions(&["2", "2"]));
    let (code, back) = said(&several, &["rollout", "rollback", "--yes"]);
    assert_eq!(code, 0, "{back}");
    let (code, shown) = said(&several, &["rollout", "watch"]);
    assert_eq!((code, &shown["state"]), (7, &"complete".into()), "{shown}");
    assert_eq!(several.versions("eu1").await, versions(&["1", "1", "1"]));
    assert_eq!(several.versions("eu2").await, versions(&["1", "1"]));
}

#[tokio::test]
async fn a_contract_waits_for_word_also_where_only_tenants_that_are_away_need_it() {
    let mut several = Several::with(&[("eu1", 0), ("eu2", 1)]).await;
    several.migration(
        "tenant/2-contract",
        "-- tenantry: phase=contract\ndrop table users",
        "create table users ()",
    );
    several.away(&["eu2"]);
    let mut first = daemon_of(&several, &[]);
    let (code, started) = said(&several, &["rollout", "start"]);
    assert_eq!(code, 0, "{started}");
    let mut home = several.home.connect().await;
    let planned = "select count(*) from tenantry.runs where error is not null";
    until_within(MINUTE, "it waits for its shard", async || {
        number(&mut home, planned).await == 1
    })
    .await;
    first.kill();
    several.away(&[]);
    let _second = daemon_of(&several, &[]);
    let told = "select count(*) from tenantry.rollouts where why like 'contract 2 waits for `tenantry release ack 2`%'";
    until_within(MINUTE, "it waits for word", async || {
        number(&mut home, told).await == 1
    })
    .await;
    assert_eq!(several.versions("eu2").await, versions(&["1"]));
}

#[tokio::test]
async fn who_could_not_be_moved_when_it_was_planned_goes_back_to_where_it_was_found() {
    let small = small(1).await;
    for name in ["a", "b", "c"] {
        small.add(name).await;
    }
    small.tenantry(&["up"]).assert().success();
    small.write("tenant/2-more.up.sql", "create table more ();");
    small.write("tenant/2-more.down.sql", "drop table more;");
    small.run("alter schema c rename to elsewhere").await;
    let _daemon = daemon(&small, &[]);
    let start = ["rollout", "start", "--canaries", "1", "--approval", "each"];
    assert_eq!(json(&small, &start).0, 0);
    let canary = "select count(*) from tenantry.runs where state = 'done'";
    until_number(&small, "the canary is moved", canary, 1).await;
    small.run("alter schema elsewhere rename to c").await;
    assert_eq!(json(&small, &["rollout", "retry"]).0, 0);
    assert_eq!(json(&small, &["rollout", "approve"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(small.tables("c").await, ["more", "t1"]);
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    assert_eq!(json(&small, &["rollout", "watch"]).0, 7);
    for name in ["a", "b", "c"] {
        assert_eq!(small.tables(name).await, ["t1"], "{name}");
    }
}

#[tokio::test]
async fn each_wave_is_that_many_times_as_large_as_the_one_before() {
    let small = fleet(30).await;
    let _daemon = daemon(&small, &[]);
    let start = ["rollout", "start", "--canaries", "1", "--growth", "2"];
    let (code, started) = json(&small, &start);
    assert_eq!(code, 0, "{started}");
    assert_eq!(started["strategy"]["growth"], 2, "{started}");
    assert_eq!(started["strategy"]["waves"], serde_json::json!([]));
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    let expected = [
        ("canary", 1),
        ("wave", 2),
        ("wave", 4),
        ("wave", 8),
        ("wave", 15),
    ];
    assert_eq!(waves(&shown, "done"), expected);

    let both = [&start[..], &["--waves", "10%"]].concat();
    small.tenantry(&both).assert().failure();
    let mut command = small.tenantry(&["rollout", "list"]);
    command.env("TENANTRY__ROLLOUT__GROWTH", "4");
    command.env("TENANTRY__ROLLOUT__WAVES", "20%");
    let refused = command.assert().failure().get_output().stderr.clone();
    let refused = String::from_utf8(refused).unwrap();
    assert!(refused.contains("together with rollout.waves"), "{refused}");
}

#[tokio::test]
async fn all_of_it_is_told_and_what_was_taken_back_is_told_apart() {
    let small = fleet(3).await;
    let _daemon = daemon(&small, &[]);
    let start = ["rollout", "start", "--canary", "label:canary=yes"];
    assert_eq!(json(&small, &start).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    // A selector that finds nobody is told.
    let why = shown["events"][1]["why"].as_str().unwrap();
    assert!(why.contains("canary by \"label:canary=yes\""), "{why}");

    small
        .run(
            "insert into tenantry.events (who, action, rollout)
             select 'ann', 'look ' || number, 1 from generate_series(1, 30) number",
        )
        .await;
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 7, "{shown}");
    let events = shown["events"].as_array().unwrap();
    assert!(events.len() > 30, "{shown}");
    assert_eq!(events[0]["action"], "start");
    let mut home = small.fleet.home().await.unwrap();
    let counts = overview(home.connection()).await.unwrap();
    let now = counts
        .iter()
        .find(|count| count.what == "rollout" && count.count == 1);
    assert_eq!(now.unwrap().state, "rolled_back");
    let text = small.text(&["rollout", "show"]);
    let more = format!("{} earlier events", events.len() - 20);
    assert!(text.contains(&more), "{text}");
}
