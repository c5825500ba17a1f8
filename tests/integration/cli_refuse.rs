//! What is refused, and the exit codes that scripts rely on.

use crate::support::{Ran, Shop};

const TWO: &[&str] = &["acme", "blue"];

fn assert_refused(ran: &Ran, code: i32, message: &str) {
    assert_eq!(ran.code, code, "{}", ran.screen());
    assert!(ran.stderr.contains(message), "{}", ran.screen());
}

/// Two tenants at version 1, with 2 pending.
async fn behind() -> Shop {
    let shop = Shop::with(TWO).await;
    shop.migration(
        2,
        "orders",
        "CREATE TABLE orders (id int);\n",
        "DROP TABLE orders;\n",
    );
    shop
}

#[tokio::test]
async fn going_back_asks_first() {
    let shop = Shop::with(TWO).await;
    let before = shop.run(&["status", "--output", "json"]).stdout;
    let down = shop.run(&["down", "--all", "--steps", "1"]);
    assert_refused(
        &down,
        2,
        "2 tenants: 1 migration, from 1 to nothing applied",
    );
    assert_refused(&down, 2, "--yes");
    assert_refused(&shop.run(&["down", "--steps", "1", "--yes"]), 2, "--all");
    assert_refused(&shop.run(&["down", "acme", "--yes"]), 2, "--steps");
    assert_refused(&shop.run(&["goto", "0", "--yes"]), 2, "say --all");
    assert_refused(&shop.run(&["goto", "0", "acme"]), 2, "--yes");
    assert_refused(&shop.run(&["redo", "--yes"]), 2, "--all");
    let redo = shop.run(&["redo", "--all"]);
    assert_refused(&redo, 2, "from 1 to nothing applied, and up again");
    assert_eq!(shop.run(&["status", "--output", "json"]).stdout, before);
}

#[tokio::test]
async fn a_changed_file_stops_all() {
    let shop = behind().await;
    shop.write(
        "tenant_migrations/1-users.up.sql",
        "CREATE TABLE users (id int);\n",
    );
    let ran = shop.run(&["up"]);
    assert_refused(&ran, 6, "1 users was changed after it was applied");
    assert_refused(&ran, 6, "holds up 2 tenants");
    assert_eq!(ran.stdout, "Nothing was begun.\n");
    let json = shop.run(&["up", "--output", "json"]);
    assert_eq!((json.code, json.stderr.as_str()), (6, ""));
    assert_eq!(json.json()["scopes"][1]["refusals"][0]["kind"], "changed");
}

#[tokio::test]
async fn a_version_that_was_merged_late_needs_leave() {
    let shop = Shop::with(TWO).await;
    shop.migration(
        3,
        "names",
        "ALTER TABLE users ADD name text;\n",
        "ALTER TABLE users DROP name;\n",
    );
    assert_eq!(shop.run(&["up"]).code, 0);
    shop.migration(
        2,
        "orders",
        "CREATE TABLE orders ();\n",
        "DROP TABLE orders;\n",
    );
    assert_refused(&shop.run(&["up"]), 1, "--allow-out-of-order");
    assert_eq!(shop.run(&["up", "--allow-out-of-order"]).code, 0);
}

#[tokio::test]
async fn a_problem_in_what_is_pending_is_shown_whole() {
    let shop = behind().await;
    shop.migration(
        3,
        "oops",
        "CREATE TABLE t ();\nCOMMIT;\n",
        "DROP TABLE t;\n",
    );
    let ran = shop.run(&["up"]);
    assert_refused(&ran, 64, "error[F401]");
    assert_refused(&ran, 64, "tenant_migrations/3-oops.up.sql:2:1");
}

#[tokio::test]
async fn a_problem_in_what_is_applied_only_warns() {
    let shop = behind().await;
    shop.write("tenant_migrations/functions/f.sql", "SELECT 1;\n");
    assert_eq!(shop.run(&["up"]).code, 0);
    std::fs::remove_file(shop.path().join("tenant_migrations/2-orders.down.sql")).unwrap();
    let ran = shop.run(&["up"]);
    assert_refused(&ran, 0, "warning[F107]");
}

#[tokio::test]
async fn a_dirty_tenant_is_left_out() {
    let shop = behind().await;
    shop.sql("update tenantry.heads set dirty_version = '2' where schema_name = 'acme'")
        .await;
    let ran = shop.run(&["up"]);
    assert_refused(&ran, 5, "acme is left out: it stopped half-way at 2");
    assert!(ran.stdout.contains("1 tenant moved"), "{}", ran.screen());
}

#[tokio::test]
async fn names_that_nobody_has_are_told() {
    let shop = behind().await;
    assert_refused(&shop.run(&["up", "acne"]), 2, "no tenant acne; is it acme?");
    assert_refused(&shop.run(&["up", "!bleu"]), 2, "is it blue?");
    shop.sql("update tenantry.tenants set state = 'suspended' where name = 'blue'")
        .await;
    assert_refused(&shop.run(&["up", "blue"]), 0, "blue is suspended");
    assert_refused(&shop.run(&["up", "z*"]), 0, "no tenant is selected");
    assert_refused(
        &shop.run(&["up", "--to", "7"]),
        2,
        "version 7 is in no file",
    );
    assert_refused(&shop.run(&["up", "--steps", "0"]), 2, "--steps");
}

#[tokio::test]
async fn errors_are_objects_where_results_are() {
    let shop = behind().await;
    let ran = shop.run(&["up", "acne", "--output", "json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["exit_code"], 2);
    assert_eq!(ran.stdout, "");
    for slip in [
        &["down", "--output", "json"][..],
        &["--output=json", "upp"],
        &["up", "--steps", "0", "--output", "json"],
    ] {
        let ran = shop.run(slip);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{slip:?}");
        let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(error["error"]["exit_code"], 2);
        let message = error["error"]["message"].as_str().unwrap();
        assert!(!message.starts_with("error") && !message.contains("Usage:"));
    }
    shop.write("migrations/1-plans.down.sql", "\u{0}");
    std::fs::remove_dir_all(shop.path().join("tenant_migrations")).unwrap();
    std::fs::remove_file(shop.path().join("migrations/1-plans.up.sql")).unwrap();
    insta::assert_snapshot!("files_json", shop.run(&["up", "--output", "json"]).screen());
}

#[tokio::test]
async fn settings_files_and_databases_have_codes() {
    let shop = behind().await;
    let with_url = |url: &str| {
        let mut command = shop.command(&["up"]);
        command.env("TENANTRY__HOME__URL", url);
        Ran::of(command)
    };
    assert_refused(&with_url(""), 64, "`home.url` is not set");
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    assert_refused(&with_url(nowhere), 69, "cannot connect");
    assert_refused(&shop.run(&["up", "--config", "none.toml"]), 64, "none.toml");
    std::fs::remove_dir_all(shop.path().join("migrations")).unwrap();
    assert_refused(&shop.run(&["up"]), 64, "F105");
}
