//! Commands that look: `status`, `plan`, `config show`, and `new`, which touches no database.

use crate::support::{Shop, snapshots};

const TENANTS: &[&str] = &["acme", "blue", "coral"];

/// Three tenants at version 1, one of them at 2, with 3 and a view pending.
async fn uneven() -> Shop {
    let shop = Shop::with(TENANTS).await;
    shop.migration(
        2,
        "orders",
        "CREATE TABLE orders (id int);\nCREATE INDEX orders_id ON orders (id);\n",
        "DROP TABLE orders;\n",
    );
    assert_eq!(shop.run(&["up", "coral"]).code, 0);
    shop.migration(
        3,
        "names",
        "ALTER TABLE users ADD name text;\n",
        "ALTER TABLE users DROP name;\n",
    );
    shop.write(
        "tenant_migrations/functions/shout.sql",
        "CREATE OR REPLACE FUNCTION shout(text) RETURNS text LANGUAGE sql RETURN upper($1);\n",
    );
    shop
}

#[tokio::test]
async fn status_counts_versions() {
    let shop = uneven().await;
    shop.sql("update tenantry.tenants set state = 'suspended' where name = 'blue'")
        .await;
    shop.sql(
        "create schema lonely;
         insert into tenantry.heads (schema_oid, schema_name) select 'lonely'::regnamespace::oid, 'lonely'",
    )
    .await;
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!(
        "status_json",
        shop.run(&["status", "--output", "json"]).screen()
    );
    insta::assert_snapshot!("status_text", shop.run(&["status"]).screen());
    drop(bound);
}

#[tokio::test]
async fn status_checks() {
    let shop = Shop::with(TENANTS).await;
    assert_eq!(shop.run(&["status", "--check"]).code, 0);
    shop.migration(
        2,
        "orders",
        "CREATE TABLE orders ();\n",
        "DROP TABLE orders;\n",
    );
    assert_eq!(shop.run(&["status", "--check"]).code, 3);
    assert_eq!(shop.run(&["status"]).code, 0);
    shop.write(
        "tenant_migrations/1-users.up.sql",
        "CREATE TABLE users (email text, name text);\n",
    );
    let changed = shop.run(&["status", "--check"]);
    assert_eq!(changed.code, 6, "{}", changed.screen());
    assert!(
        changed
            .stdout
            .contains("1 users: the file was changed after it was applied (3 tenants)")
    );
    shop.sql("update tenantry.heads set dirty_version = '1' where schema_name = 'acme'")
        .await;
    let dirty = shop.run(&["status", "--check"]);
    assert_eq!(dirty.code, 5, "{}", dirty.screen());
    assert!(
        dirty
            .stdout
            .contains("acme is left out: it stopped half-way at 1")
    );
}

#[tokio::test]
async fn plan_shows_each_cohort_and_changes_nothing() {
    let shop = uneven().await;
    let before = shop.run(&["status", "--output", "json"]).stdout;
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!(
        "plan_json",
        shop.run(&["plan", "--output", "json"]).screen()
    );
    insta::assert_snapshot!("plan_text", shop.run(&["plan"]).screen());
    drop(bound);
    assert_eq!(shop.run(&["status", "--output", "json"]).stdout, before);
}

#[tokio::test]
async fn plan_shows_the_very_text() {
    let shop = uneven().await;
    // Texts are stored on the shard before they are run: others have been there.
    assert_eq!(shop.run(&["up", "acme"]).code, 0);
    let text = shop.run(&["plan", "coral", "--sql"]).stdout;
    assert!(
        text.starts_with("-- 1 shared schema at 1: nothing to do\n"),
        "{text}"
    );
    assert!(
        text.contains("-- 1 tenant at 2: 1 migration, 1 repeatable\n"),
        "{text}"
    );
    // Sent as it is, it does what `up` would have done.
    shop.sql(&text).await;
    let rest = shop.run(&["plan", "coral"]).stdout;
    assert!(rest.contains("1 tenant at 3: nothing to do"), "{rest}");
    let json = shop
        .run(&["plan", "blue", "--sql", "--output", "json"])
        .json();
    let messages = json["scopes"][1]["cohorts"][0]["messages"]
        .as_array()
        .unwrap();
    assert!(
        messages[0]
            .as_str()
            .unwrap()
            .contains("CREATE TABLE orders (id int)")
    );
    // What is sent is held by the test above and is another one on every machine.
    let mut json = json;
    json["scopes"][1]["cohorts"][0]["messages"] = serde_json::json!(["[message]"]);
    insta::assert_json_snapshot!("plan_sql_json", json);
}

#[tokio::test]
async fn a_plan_that_is_refused_says_why() {
    let shop = uneven().await;
    shop.migration(4, "oops", "COMMIT;\n", "SELECT 1;\n");
    let plan = shop.run(&["plan", "acme"]);
    assert_eq!(plan.code, 64);
    assert!(plan.stdout.contains("F401"), "{}", plan.screen());
    assert_eq!(shop.run(&["plan", "acme", "--to", "3"]).code, 0);
    let unknown = shop.run(&["plan", "acme", "--to", "5"]);
    assert_eq!(unknown.code, 2);
    let where_to_look = "in no history; `tenantry plan` lists what is pending";
    assert!(
        unknown.stderr.contains(where_to_look),
        "{}",
        unknown.screen()
    );
}

/// A device that is always full takes nothing.
#[tokio::test]
async fn a_result_that_cannot_be_written_is_a_failure() {
    let shop = Shop::with(&["acme"]).await;
    for arguments in [&["status"][..], &["tenant", "list", "--output", "json"]] {
        let full = std::fs::File::create("/dev/full").unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .args(arguments)
            .current_dir(shop.path())
            .env("TENANTRY__HOME__URL", &shop.database.url)
            .env_remove("TENANTRY_CONFIG")
            .stdout(full)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}

#[tokio::test]
async fn config_show_names_origins() {
    let shop = Shop::with(&[]).await;
    shop.write("other.toml", "[apply]\nconcurrency = 7\n");
    let mut command = shop.command(&[
        "config",
        "show",
        "--config",
        "other.toml",
        "--output",
        "json",
    ]);
    command.env(
        "TENANTRY__HOME__URL",
        "postgres://ann:secret@db.example.net/shop",
    );
    let shown = crate::support::Ran::of(command);
    assert!(!shown.stdout.contains("secret"));
    let mut json = shown.json();
    let some = ["apply.concurrency", "home.url", "log.level"];
    let settings = json["settings"].as_array_mut().unwrap();
    settings.retain(|setting| some.contains(&setting["key"].as_str().unwrap()));
    insta::assert_json_snapshot!("config_json", json);
}

#[tokio::test]
async fn new_creates_a_pair() {
    let shop = Shop::with(&[]).await;
    insta::assert_snapshot!(
        "new_json",
        shop.run(&["new", "Add the orders", "--seq", "--output", "json"])
            .screen()
    );
    let shared = shop.run(&[
        "new",
        "regions",
        "--scope",
        "shared",
        "--seq",
        "--no-transaction",
    ]);
    assert_eq!(
        shared.screen(),
        "exit 0\nmigrations/2-regions.up.sql\nmigrations/2-regions.down.sql\n"
    );
    let up = std::fs::read_to_string(shop.path().join("migrations/2-regions.up.sql")).unwrap();
    assert!(up.contains("-- tenantry: no-transaction"), "{up}");
    assert_eq!(shop.run(&["new", "???"]).code, 1);
}
