//! Commands that move: `up`, `down`, `redo`, `goto`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use sqlx::{PgConnection, Row};

use crate::support::{self, Shop, snapshots};

const FIVE: &[&str] = &["acme", "blue", "coral", "dune", "ember"];

/// Fails where two users have the same address.
async fn with_unique_addresses(tenants: &[&str]) -> Shop {
    let shop = Shop::with(tenants).await;
    shop.migration(
        2,
        "unique-emails",
        "-- Nobody has the address of another.\nCREATE UNIQUE INDEX users_email\n    ON users (email);\n",
        "DROP INDEX users_email;\n",
    );
    shop
}

const TWINS: &str = "insert into coral.users values ('ann@example.org'), ('ann@example.org')";

/// Version and count of each row of `status`, for the tenants.
fn standings(shop: &Shop) -> Vec<(Option<String>, u64)> {
    let status = shop.run(&["status", "--output", "json"]).json();
    let rows = status["scopes"][1]["standings"].as_array().unwrap().clone();
    rows.iter()
        .map(|row| {
            let version = row["version"].as_str().map(str::to_owned);
            (version, row["count"].as_u64().unwrap())
        })
        .collect()
}

fn at(version: &str, count: u64) -> (Option<String>, u64) {
    (Some(version.to_owned()), count)
}

#[tokio::test]
async fn up_moves_all() {
    let shop = with_unique_addresses(FIVE).await;
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!("up_json", shop.run(&["up", "--output", "json"]).screen());
    insta::assert_snapshot!("up_again", shop.run(&["up"]).screen());
    drop(bound);
    assert_eq!(standings(&shop), [at("2", 5)]);
}

#[tokio::test]
async fn one_of_five_fails_and_the_others_move() {
    let shop = with_unique_addresses(FIVE).await;
    shop.sql(TWINS).await;
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!("up_one_failed", shop.run(&["up"]).screen());
    assert_eq!(standings(&shop), [at("2", 4), at("1", 1)]);
    insta::assert_snapshot!(
        "up_one_failed_json",
        shop.run(&["up", "--output", "json"]).screen()
    );
    drop(bound);
    shop.sql("truncate coral.users").await;
    assert_eq!(shop.run(&["up"]).code, 0);
    assert_eq!(standings(&shop), [at("2", 5)]);
}

#[tokio::test]
async fn a_spent_budget_stops() {
    let shop = Shop::with(FIVE).await;
    shop.migration(
        2,
        "broken",
        "ALTER TABLE nowhere ADD x int;\n",
        "SELECT 1;\n",
    );
    let ran = shop.run(&[
        "up",
        "--max-failures",
        "1",
        "--concurrency",
        "1",
        "--output",
        "json",
    ]);
    assert_eq!(ran.code, 1);
    let scope = &ran.json()["scopes"][1];
    assert_eq!(
        (&scope["failed"], &scope["not_started"]),
        (&json!(2), &json!(3))
    );
    let text = shop.run(&["up", "--max-failures", "0", "--concurrency", "1"]);
    let why = "4 tenants were not begun: more failed than --max-failures allows";
    assert!(text.stderr.contains(why), "{}", text.screen());
    assert_eq!(standings(&shop), [at("1", 5)]);
}

#[tokio::test]
async fn broken_tenants_do_not_starve_the_others() {
    let shop = with_unique_addresses(FIVE).await;
    shop.sql(&TWINS.replace("coral", "acme")).await;
    let options = ["--max-failures", "0", "--concurrency", "1"];
    let ran = shop.run(&[&["up", "!blue"][..], &options].concat());
    assert_eq!(standings(&shop), [at("1", 5)], "{}", ran.screen());
    let again = "to try again: `tenantry up '!blue' --max-failures 0 --concurrency 1`";
    assert!(ran.stderr.contains(again), "{}", ran.screen());
    let others = "the others first: `tenantry up '!blue,!acme' --max-failures 0 --concurrency 1`";
    assert!(ran.stderr.contains(others), "{}", ran.screen());
    let ran = shop.run(&[&["up", "!blue,!acme"][..], &options].concat());
    assert_eq!(ran.code, 0, "{}", ran.screen());
    assert_eq!(standings(&shop), [at("2", 3), at("1", 2)]);
}

#[tokio::test]
async fn a_script_that_reaches_elsewhere_is_not_sent_on_to_the_others() {
    let shop = Shop::with(FIVE).await;
    shop.sql("create schema elsewhere; create table elsewhere.items (id int)")
        .await;
    shop.migration(
        2,
        "reach",
        "ALTER TABLE elsewhere.items ADD n int;\n",
        "SELECT 1;\n",
    );
    let ran = shop.run(&["up", "--concurrency", "1"]);
    assert_eq!(ran.code, 1, "{}", ran.screen());
    let why = "4 tenants were not begun: the script would do the same there";
    assert!(
        ran.stderr.contains("TN007") && ran.stderr.contains(why),
        "{}",
        ran.screen()
    );
    assert!(!ran.stderr.contains("the others first"), "{}", ran.screen());
    assert!(!ran.stderr.contains("--max-failures"), "{}", ran.screen());
    assert_eq!(standings(&shop), [at("1", 5)]);
}

#[tokio::test]
async fn a_script_that_ended_its_transaction_is_looked_at_first() {
    let shop = Shop::with(FIVE).await;
    // A COMMIT is refused in the files, so this says what the server would.
    shop.migration(
        2,
        "escape",
        "DO $$ BEGIN RAISE 'the script ended its transaction' USING ERRCODE = 'TN005'; END $$;\n",
        "SELECT 1;\n",
    );
    let ran = shop.run(&["up", "--concurrency", "1"]);
    assert_eq!(ran.code, 5, "{}", ran.screen());
    for said in [
        "TN005",
        "4 tenants were not begun: the script would do the same there",
        "a schema is marked dirty: look at it first (`tenantry repair`)",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.screen());
    }
    assert!(!ran.stderr.contains("the others first"), "{}", ran.screen());
    assert!(!ran.stderr.contains("--max-failures"), "{}", ran.screen());
}

#[tokio::test]
async fn selectors_choose() {
    let shop = with_unique_addresses(FIVE).await;
    shop.write("names.txt", "# two\ndune\n\nember\n");
    for (selector, left) in [
        ("label:tier=paid", 4),
        ("b*,!blue", 4),
        ("b*", 3),
        ("file:names.txt", 1),
    ] {
        let ran = shop.run(&["up", selector]);
        assert_eq!(ran.code, 0, "{selector}: {}", ran.screen());
        assert!(standings(&shop).contains(&at("1", left)), "{selector}");
    }
    let ran = shop.run(&["up", "version<2"]);
    assert!(ran.stdout.contains("1 tenant moved"), "{}", ran.screen());
    assert_eq!(standings(&shop), [at("2", 5)]);
}

#[tokio::test]
async fn down_goes_back_and_forth() {
    let shop = with_unique_addresses(FIVE).await;
    assert_eq!(shop.run(&["up"]).code, 0);
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!(
        "down_json",
        shop.run(&[
            "down", "a*,blue", "--steps", "1", "--yes", "--output", "json"
        ])
        .screen()
    );
    insta::assert_snapshot!(
        "goto_json",
        shop.run(&["goto", "1", "coral", "--yes", "--output", "json"])
            .screen()
    );
    assert_eq!(standings(&shop), [at("2", 2), at("1", 3)]);
    insta::assert_snapshot!(
        "redo_json",
        shop.run(&["redo", "dune", "--yes", "--output", "json"])
            .screen()
    );
    drop(bound);
    let redone = shop.run(&["redo", "a*,blue,coral,dune", "--yes"]);
    let again = ", 1 migration each back and up again\n";
    assert!(redone.stdout.contains(again), "{}", redone.screen());
    assert_eq!(shop.run(&["goto", "2"]).code, 0);
    assert_eq!(standings(&shop), [at("2", 5)]);
}

#[tokio::test]
async fn down_to_zero_takes_both_scopes_back_without_files() {
    let shop = with_unique_addresses(&["acme", "blue"]).await;
    assert_eq!(shop.run(&["up"]).code, 0);
    for gone in ["migrations", "tenant_migrations"] {
        std::fs::remove_dir_all(shop.path().join(gone)).unwrap();
    }
    let ran = shop.run(&["down", "--all", "--to", "0", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.screen());
    assert!(
        ran.stderr.contains("the way back does not need the files"),
        "{}",
        ran.screen()
    );
    let left = "select count(*) from pg_tables where schemaname in ('shared', 'acme', 'blue')";
    let mut connection = shop.database.connect().await;
    let row = sqlx::query(left).fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}

/// `up`, one tenant at a time, once the first of them waits for the lock that the connection holds.
async fn held_up(shop: &Shop) -> (Child, PgConnection) {
    let mut lock = shop.database.connect().await;
    sqlx::raw_sql("select pg_advisory_lock(4242)")
        .execute(&mut lock)
        .await
        .unwrap();
    let wait = "-- tenantry: lock-timeout=10min\nSELECT pg_advisory_xact_lock(4242);\n";
    shop.migration(2, "slow", wait, "SELECT 1;\n");
    let child = support::tenantry()
        .args(["up", "--concurrency", "1"])
        .current_dir(shop.path())
        .env("TENANTRY__HOME__URL", &shop.database.url)
        // The only try is as patient as the script allows.
        .env("TENANTRY__APPLY__LOCK_TRIES", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shop.wait_for(
        "select exists (select from pg_locks l join pg_database d on d.oid = l.database
                         where d.datname = current_database() and objid = 4242 and not granted)",
    )
    .await;
    (child, lock)
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
}

#[tokio::test]
async fn an_interrupt_finishes_what_is_running() {
    let shop = Shop::with(FIVE).await;
    let (mut child, lock) = held_up(&shop).await;
    interrupt(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("is finished first"), "{first}");
    // Only now, when it has heard, may the first tenant go on.
    drop(lock);
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:#?}");
    assert_eq!(standings(&shop), [at("2", 1), at("1", 4)]);
}

#[tokio::test]
async fn a_second_interrupt_cancels_what_is_running() {
    let shop = Shop::with(&["acme"]).await;
    let (mut child, _lock) = held_up(&shop).await;
    interrupt(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("once more cancels it"), "{first}");
    interrupt(&child);
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:#?}");
    let told = |what: &str| rest.iter().any(|line| line.contains(what));
    assert!(told("stopped at once, as was asked for"), "{rest:#?}");
    assert!(told("it was cancelled on the server"), "{rest:#?}");
    // Before the process ended, and not because the server has noticed that it did.
    let waits = "select exists (select from pg_locks l join pg_stat_activity a using (pid)
                  where a.datname = current_database() and not l.granted)";
    let mut connection = shop.database.connect().await;
    let row = sqlx::query(waits).fetch_one(&mut connection).await.unwrap();
    assert!(!row.get::<bool, _>(0));
    shop.wait_for(
        "select not exists (select from pg_stat_activity
                             where datname = current_database() and application_name = 'tenantry')",
    )
    .await;
    assert_eq!(standings(&shop), [at("1", 1)]);
}
