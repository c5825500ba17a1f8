//! First steps with a new project, and steps into a directory that is not the project's.

use serde_json::{Value, json};

use crate::support::{Small, small};

fn run(small: &Small, arguments: &[&str]) -> (i32, String, String) {
    let output = small.tenantry(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn run_json(small: &Small, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    serde_json::from_str(&run(small, &arguments).1).unwrap()
}

#[tokio::test]
async fn an_empty_shared_set_is_not_spoken_of() {
    let small = small(1).await;
    assert_eq!(run(&small, &["up"]).1, "no tenants to move\n");
    small.add("acme").await;
    assert_eq!(run(&small, &["up"]).1, "1 tenant: nothing to do\n");
    let shown = run(&small, &["plan"]).1;
    assert_eq!(shown, "1 tenant at 1: nothing to do\n");
    let shown = run(&small, &["status"]).1;
    assert!(!shown.contains("shared"), "{shown}");
    // Who asks for it is answered.
    let shown = run(&small, &["up", "--scope", "shared"]).1;
    assert_eq!(shown, "1 shared schema: nothing to do\n");
}

#[tokio::test]
async fn a_shared_schema_that_is_not_there_yet_has_all_pending() {
    let small = small(1).await;
    small.write("shared/1-plans.up.sql", "create table plans ();");
    small.write("shared/1-plans.down.sql", "drop table plans;");
    let status = run_json(&small, &["status"]);
    let shared = &status["scopes"][0];
    assert_eq!(shared["blocked"][0]["kind"], "unmade");
    let message = "it is not there yet; `tenantry up` makes it";
    assert_eq!(shared["blocked"][0]["message"], message);
    assert_eq!(shared["standings"][0]["pending"], json!(["1"]));
    let (_, shown, _) = run(&small, &["status"]);
    let row = shown
        .lines()
        .find(|line| line.starts_with("shared "))
        .unwrap();
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["shared", "nothing", "applied", "-", "1", "1", "-"]);
    assert_eq!(run(&small, &["status", "--check"]).0, 3);
}

#[tokio::test]
async fn an_empty_directory_is_no_news_that_all_is_well() {
    let small = small(2).await;
    small.add("acme").await;
    for file in ["1-t1", "2-t2"] {
        small.remove(&format!("tenant/{file}.up.sql"));
        small.remove(&format!("tenant/{file}.down.sql"));
    }
    let warning = "warning: 2 applied migrations have no file in the tenant set";
    for command in ["up", "plan"] {
        let (code, _, said) = run(&small, &[command]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(warning), "{command}: {said}");
    }
}

#[tokio::test]
async fn backfills_are_listed_with_the_tenants_there_are() {
    let small = small(1).await;
    for tenant in ["acme", "blue"] {
        small.add(tenant).await;
    }
    let none = run(&small, &["backfill", "list"]).1;
    assert!(none.starts_with("no backfills: "), "{none}");
    small.make_directory("tenant/backfills");
    small.write("tenant/backfills/fill.sql", "select 1;");
    let list = run(&small, &["backfill", "list"]).1;
    let rows: Vec<_> = list.lines().collect();
    let words = |row: &str| {
        row.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let headings = ["BACKFILL", "TENANTS", "BEGUN", "DONE", "ROWS", "FILE"];
    assert_eq!(words(rows[0]), headings);
    assert_eq!(words(rows[1]), ["fill", "2", "0", "0", "0", "there"]);
}

/// Whichever of two cohorts is looked at first.
#[tokio::test]
async fn what_is_wrong_names_its_schemas_in_order() {
    let mut small = small(1).await;
    for tenant in ["acme", "coral", "ember"] {
        small.add(tenant).await;
    }
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    small = small.reopened();
    for tenant in ["blue", "dune"] {
        small.add(tenant).await;
    }
    small.write("tenant/1-t1.up.sql", "create table t1 (id int);");
    let findings = run_json(&small, &["repair"])["findings"].clone();
    let targets = findings[0]["targets"].as_array().unwrap().clone();
    let names: Vec<_> = targets.iter().map(|target| &target["schema"]).collect();
    assert_eq!(names, ["acme", "blue", "coral", "dune", "ember"]);
}

#[tokio::test]
async fn the_first_migration_makes_its_directory() {
    let small = small(0).await;
    small.remove_directory("tenant");
    let (code, made, said) = run(&small, &["new", "users", "--seq"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("made the directory"), "{said}");
    assert!(made.contains("tenant/000001-users.up.sql"), "{made}");
    let (code, _, said) = run(&small, &["new", "orders", "--seq"]);
    assert_eq!((code, said.as_str()), (0, ""));
}

#[tokio::test]
async fn what_verify_proves_is_an_object() {
    let small = small(1).await;
    small.write("tenant/2-kept.up.sql", "create table kept ();");
    small.write("tenant/2-kept.down.sql", "select 1;");
    let arguments = [
        "verify",
        "--server",
        &small.database.url,
        "--scope",
        "tenant",
    ];
    let report = run_json(&small, &arguments);
    insta::assert_json_snapshot!("verify_json", report);
}
