//! Rollouts that somebody stops or takes back when the daemons have other files than these were started with.

use crate::support::{
    Small,
    rollouts::{MINUTE, daemon, fleet, json, number},
    until_within,
};

/// How many schemas have a version among those applied.
async fn at(small: &Small, version: &str) -> i64 {
    let query = format!("select count(*) from tenantry.heads where version = '{version}'");
    number(&mut small.connect().await, &query).await
}

fn migration(small: &Small, number: usize, up: &str) {
    small.write(&format!("tenant/{number}-t{number}.up.sql"), up);
    let down = format!("drop table t{number};");
    small.write(&format!("tenant/{number}-t{number}.down.sql"), &down);
}

#[tokio::test]
async fn the_file_is_mended_and_the_rollout_that_it_halted_is_cancelled_and_another_one_started() {
    let small = fleet(4).await;
    migration(&small, 2, "create tabl t2 ();");
    let mut old = daemon(&small, &[]);
    let start = ["rollout", "start", "--wait"];
    let (code, shown) = json(&small, &start);
    assert_eq!((code, &shown["state"]), (7, &"halted".into()), "{shown}");
    old.end(&["TERM"]).await;
    migration(&small, 2, "create table t2 ();");
    let mut new = daemon(&small, &[]);
    // It cannot go on, which is told.
    assert_eq!(json(&small, &["rollout", "retry"]).0, 0);
    until_within(MINUTE, "it is told that nobody has the files", async || {
        json(&small, &["rollout", "show"]).1["lacks_files"] == true
    })
    .await;
    let (code, refused) = json(&small, &["rollout", "start"]);
    assert_eq!(code, 75, "{refused}");
    let (code, told) = json(&small, &["rollout", "cancel"]);
    assert_eq!(code, 0, "{told}");
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!((code, &shown["state"]), (7, &"cancelled".into()), "{shown}");
    let resumed = json(&small, &["rollout", "resume"]);
    let over = "rollout 1 is cancelled and cannot resume: it is over";
    assert!(resumed.1.as_str().unwrap().contains(over), "{resumed:?}");
    let (code, shown) = json(&small, &start);
    assert_eq!((code, &shown["state"]), (0, &"complete".into()), "{shown}");
    // Whoever was refused took no number.
    assert_eq!(shown["id"], 2);
    assert_eq!(at(&small, "2").await, 4);
    // Daemons with still newer files take it back by the texts that are stored.
    new.end(&["TERM"]).await;
    migration(&small, 3, "create table t3 ();");
    let _newer = daemon(&small, &[]);
    let back = ["rollout", "rollback", "2", "--yes", "--wait"];
    let (code, shown) = json(&small, &back);
    assert_eq!(
        (code, &shown["state"], &shown["back"]),
        (0, &"complete".into(), &true.into()),
        "{shown}"
    );
    assert_eq!((at(&small, "2").await, at(&small, "3").await), (0, 0));
    assert!(
        small
            .tables("tenant_1")
            .await
            .iter()
            .all(|table| table != "t2")
    );
}

#[tokio::test]
async fn one_that_is_to_be_taken_back_is_under_way_and_there_is_no_other_beside_it() {
    let small = fleet(3).await;
    let mut first = daemon(&small, &[]);
    let (code, shown) = json(&small, &["rollout", "start", "--wait"]);
    assert_eq!(code, 0, "{shown}");
    first.end(&["TERM"]).await;
    migration(&small, 2, "create table t2 ();");
    // Nobody can be asked here.
    let (code, asked) = json(&small, &["rollout", "rollback"]);
    assert_eq!(code, 2, "{asked}");
    let back = ["rollout", "rollback", "--yes"];
    let (code, told) = json(&small, &back);
    assert_eq!(code, 0, "{told}");
    let (code, refused) = json(&small, &["rollout", "start"]);
    let why = "rollout 1 is about to be taken back: finish it or `tenantry rollout cancel 1`";
    assert_eq!(code, 75, "{refused}");
    assert!(refused.as_str().unwrap().contains(why), "{refused}");
    let said = small.text(&["rollout", "show"]);
    assert!(
        said.contains("rollout 1 is about to be taken back"),
        "{said}"
    );
    // As long as nobody has begun, it can be thought better of.
    assert_eq!(json(&small, &["rollout", "cancel"]).0, 0);
    let (code, started) = json(&small, &["rollout", "start"]);
    assert_eq!((code, &started["id"]), (0, &2.into()), "{started}");
    let (code, refused) = json(&small, &["rollout", "rollback", "1", "--yes"]);
    assert_eq!(code, 75, "{refused}");
    // Not from psql either.
    let wish = "update tenantry.rollouts set wanted = 'back' where id = 1";
    let refused = sqlx::query(wish).execute(&mut small.connect().await).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("one_active_rollout")
    );
    assert_eq!(json(&small, &["rollout", "cancel", "2"]).0, 0);
    let _newer = daemon(&small, &[]);
    let (code, shown) = json(&small, &["rollout", "watch", "2"]);
    assert_eq!((code, &shown["state"]), (7, &"cancelled".into()), "{shown}");
    let (code, shown) = json(&small, &["rollout", "rollback", "1", "--yes", "--wait"]);
    assert_eq!((code, &shown["back"]), (0, &true.into()), "{shown}");
    assert_eq!(at(&small, "1").await, 0);
}

#[tokio::test]
async fn a_version_that_is_in_no_file_is_refused_at_once() {
    let small = fleet(1).await;
    let (code, refused) = json(&small, &["rollout", "start", "--to", "77"]);
    assert_eq!(code, 2, "{refused}");
    let why = "version 77 is in no file, and a rollout goes where the files do";
    assert!(refused.as_str().unwrap().contains(why), "{refused}");
    let (_, listed) = json(&small, &["rollout", "list"]);
    assert_eq!(listed["rollouts"].as_array().unwrap().len(), 0, "{listed}");
    let (code, started) = json(&small, &["rollout", "start", "--to", "1"]);
    assert_eq!(code, 0, "{started}");
}

#[tokio::test]
async fn what_a_killed_daemon_had_is_no_reason_to_keep_its_files() {
    let small = fleet(4).await;
    let gated = "create table t2 (); select pg_advisory_xact_lock_shared(4343);";
    migration(&small, 2, gated);
    let mut gate = small.connect().await;
    number(&mut gate, "select 1::bigint from pg_advisory_lock(4343)").await;
    let one_by_one = [
        ("TENANTRY__APPLY__LOCK_TIMEOUT", "60s"),
        ("TENANTRY__APPLY__GROUP_TIME", "0s"),
    ];
    let mut old = daemon(&small, &one_by_one);
    let (code, started) = json(&small, &["rollout", "start", "--waves", "100%"]);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let at_work = "select count(*) from tenantry.runs where daemon is not null";
    until_within(MINUTE, "it is at work", async || {
        number(&mut connection, at_work).await > 0
    })
    .await;
    old.kill();
    migration(&small, 2, "create table t2 ();");
    let _new = daemon(&small, &[]);
    number(&mut gate, "select pg_advisory_unlock(4343)::int::bigint").await;
    let (code, shown) = json(&small, &["rollout", "rollback", "--yes", "--wait"]);
    assert_eq!(
        (code, &shown["state"], &shown["back"]),
        (0, &"complete".into(), &true.into()),
        "{shown}"
    );
    assert_eq!(number(&mut connection, at_work).await, 0);
    assert_eq!((at(&small, "1").await, at(&small, "2").await), (0, 0));
    assert_eq!(json(&small, &["rollout", "start", "--wait"]).0, 0);
    assert_eq!(at(&small, "2").await, 4);
}
