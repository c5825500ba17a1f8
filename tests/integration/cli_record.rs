//! The commands that change the record, as programs and people see them.

use insta::{assert_snapshot, with_settings};
use predicates::str::contains;

use crate::{cli_tenant::assert_json, support::small};

#[tokio::test]
async fn a_baseline_by_command() {
    let small = small(2).await;
    small.import("acme").await;
    small.import("bolt").await;
    small
        .tenantry(&["baseline", "1"])
        .assert()
        .code(2)
        .stderr(contains("--all"));
    small.tenantry(&["baseline", "9", "--all"]).assert().code(2);
    assert_json!("baseline", small.json(&["baseline", "1", "--all"]));
    assert_json!("baseline_refused", small.json(&["baseline", "2", "acme"]));
    small.run("create schema shared").await;
    small.write("shared/1-plans.up.sql", "create table plans ();");
    small.write("shared/1-plans.down.sql", "drop table plans;");
    let shared = small
        .tenantry(&["baseline", "1", "--scope", "shared"])
        .assert();
    shared
        .success()
        .stdout(contains("history of 1 shared schema corrected"));
}

#[tokio::test]
async fn force_by_command() {
    let small = small(2).await;
    small.add("acme").await;
    small
        .tenantry(&["force", "1", "acme"])
        .assert()
        .code(2)
        .stderr(contains("--yes"));
    assert_json!("force", small.json(&["force", "1", "acme", "--yes"]));
    small
        .tenantry(&["force", "none", "--all", "--yes"])
        .assert()
        .success();
    assert_eq!(small.pinned("acme").await.head.version, None);
    small.tenantry(&["force", "x", "--all"]).assert().code(2);
    let nowhere = small.text(&["force", "99", "acme", "--yes"]);
    let none = "\nno history of tenants corrected, 1 left as it is\n";
    assert!(nowhere.contains(none), "{nowhere}");
}

#[tokio::test]
async fn repair_by_command() {
    let small = small(2).await;
    small.add("acme").await;
    small.add("bolt").await;
    assert_json!("repair_nothing", small.json(&["repair"]));
    small.write("tenant/1-t1.up.sql", "create table t1 (); -- changed");
    small
        .run("update tenantry.heads set dirty_version = '2' where schema_name = 'bolt'")
        .await;
    assert_json!("repair_look", small.json(&["repair"]));
    assert_json!("repair_look_text", small.text(&["repair"]));
    assert_json!(
        "repair_restore_text",
        small.text(&["repair", "--restore", "1"])
    );
    assert_json!("repair_restore", small.json(&["repair", "--restore", "1"]));
    // What is dirty is left alone, and that is told.
    let accept = ["repair", "--accept-checksum", "1"];
    small
        .tenantry(&accept)
        .assert()
        .code(5)
        .stderr(contains("bolt: it stopped half-way at 2"));
    let ask = small.tenantry(&["repair", "--clear-dirty"]).assert();
    ask.code(2).stderr(contains("--yes"));
    assert_json!(
        "repair_clear",
        small.json(&["repair", "--clear-dirty", "bolt", "--yes"])
    );
    assert_json!("repair_accept", small.json(&accept));
    small
        .tenantry(&["repair"])
        .assert()
        .success()
        .stdout(contains("nothing is wrong"));
}

#[tokio::test]
async fn what_is_busy_is_told_by_the_exit_code() {
    let small = small(1).await;
    small.import("acme").await;
    let mut session = small.connect().await;
    sqlx::query("select pg_advisory_lock((1953395321::bigint << 32) | schema_oid::bigint) from tenantry.heads")
        .execute(&mut session)
        .await
        .unwrap();
    assert_json!("busy", small.json(&["baseline", "1", "--all"]));
    let retire = small
        .tenantry(&["tenant", "retire", "acme", "--yes"])
        .assert();
    retire.code(75).stderr(contains("another session"));
}
