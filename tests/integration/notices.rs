//! What the server says while migrations run: kept with the migration, shown, and stored beside its history.

use serde_json::{Value, json};
use tenantry::{apply::Noticed, plan::Goal, telemetry};
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use crate::support::{
    Shop, database,
    fleet::{UP, empty_tenants, go, with_sets},
    proxy::Proxy,
    small, snapshots,
};

/// Three tenants, two pending migrations that the server has something to say of.
async fn talkative() -> Shop {
    let shop = Shop::with(&["acme", "blue", "coral"]).await;
    shop.migration(
        2,
        "orders",
        "drop table if exists old;\ncreate table orders ();\n\
         do $$ begin for n in 1 .. 3 loop raise notice 'again'; end loop; end $$;\n",
        "drop table orders;\n",
    );
    shop.migration(
        3,
        "careful",
        "do $$ begin raise warning 'of %', current_schema(); end $$;\n",
        "do $$ begin raise notice 'back'; end $$;\n",
    );
    shop
}

/// Level, version, message and times of what a scope of a report has.
fn said(scope: &Value) -> Vec<(&str, &str, &str, u64)> {
    let notices = scope["notices"].as_array().unwrap().iter();
    notices
        .map(|notice| {
            (
                notice["level"].as_str().unwrap(),
                notice["version"].as_str().unwrap(),
                notice["message"].as_str().unwrap(),
                notice["times"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn is_shown_grouped_and_kept_with_its_migration() {
    let shop = talkative().await;
    let bound = snapshots().bind_to_scope();
    insta::assert_snapshot!("up_notices", shop.run(&["up"]).screen());
    drop(bound);
    let show = shop
        .run(&["tenant", "show", "acme", "--output", "json"])
        .json();
    let kept = show["notices"].as_array().unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|n| (&n["version"], &n["level"], &n["message"], &n["times"]))
        .collect();
    let old = r#"table "old" does not exist, skipping"#;
    assert_eq!(
        kept,
        [
            (&json!("3"), &json!("warning"), &json!("of acme"), &json!(1)),
            (&json!("2"), &json!("notice"), &json!("again"), &json!(3)),
            (&json!("2"), &json!("notice"), &json!(old), &json!(1)),
        ]
    );
    let show = shop.run(&["tenant", "show", "acme"]).stdout;
    assert!(
        show.contains("warning from up 3 careful: of acme\n"),
        "{show}"
    );
    assert!(
        show.contains("notice from up 2 orders: again (×3)\n"),
        "{show}"
    );
}

#[tokio::test]
async fn the_level_of_the_log_makes_no_difference() {
    let shop = talkative().await;
    let mut command = shop.command(&["up", "--quiet", "--output", "json"]);
    command.env("TENANTRY__LOG__LEVEL", "error,sqlx::postgres::notice=off");
    let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let old = r#"table "old" does not exist, skipping"#;
    assert_eq!(
        said(&report["scopes"][1]),
        [
            ("warning", "3", "of acme", 1),
            ("warning", "3", "of blue", 1),
            ("warning", "3", "of coral", 1),
            ("notice", "2", "again", 9),
            ("notice", "2", old, 3),
        ]
    );
    // Nor is any of it in the log, where nobody could tell whose it is.
    let down = shop.run(&["down", "--all", "--steps", "1", "--yes", "-vv"]);
    assert_eq!(down.stderr.matches("back").count(), 1, "{}", down.screen());
    assert!(
        down.stderr.contains("3 careful (down)"),
        "{}",
        down.screen()
    );
}

#[tokio::test]
async fn what_was_rolled_back_has_said_nothing() {
    let shop = Shop::with(&["acme"]).await;
    let fails = "do $$ begin raise notice 'before'; end $$;\nselect 1 / 0;\n";
    shop.migration(2, "fails", fails, "select 1;\n");
    let ran = shop.run(&["up", "--output", "json"]);
    assert_eq!(said(&ran.json()["scopes"][1]), []);
    let show = shop.run(&["tenant", "show", "acme", "--output", "json"]);
    assert_eq!(show.json()["notices"], json!([]));
}

#[tokio::test]
async fn a_library_hears_with_its_own_subscriber() {
    let small = small(1).await;
    small.write("tenant/2-says.up.sql", "drop table if exists old");
    small.write("tenant/2-says.down.sql", "select 1");
    small.function("total", "drop function if exists total(); create function total() returns int language sql as 'select 1'");
    let small = small.reopened();
    small.import("acme").await;
    let subscriber = Registry::default().with(telemetry::notices::layer());
    let _default = tracing::subscriber::set_default(subscriber);
    let report = small.go(Goal::Latest).await;
    let of = |noticed: &Noticed| (noticed.version.map(|v| v.to_string()), noticed.name.clone());
    let noticed: Vec<_> = report.scopes[0].runs[0].noticed.iter().map(of).collect();
    assert_eq!(
        noticed,
        [
            (Some("2".to_owned()), "says".to_owned()),
            (None, "total".to_owned())
        ]
    );
}

#[tokio::test]
async fn what_the_server_says_costs_no_message_a_tenant() {
    const TENANTS: usize = 500;
    let (database, files) = (database().await, tempfile::tempdir().unwrap());
    let path = |name: &str| files.path().join(name);
    for scope in ["shared", "tenant"] {
        std::fs::create_dir(path(scope)).unwrap();
    }
    std::fs::write(
        path("tenant/1-items.up.sql"),
        "drop table if exists items; create table items ()",
    )
    .unwrap();
    std::fs::write(path("tenant/1-items.down.sql"), "drop table items").unwrap();
    let fleet = |url: &str| with_sets(url, &path("shared"), &path("tenant"));
    empty_tenants(&database, &fleet(&database.url), TENANTS).await;
    let subscriber = Registry::default().with(telemetry::notices::layer());
    let _default = tracing::subscriber::set_default(subscriber);
    let proxy = Proxy::start(&database.url).await;
    let report = go(&fleet(&proxy.url_for(&database.url)), Goal::Latest, UP).await;
    assert_eq!(report.scopes[1].done(), TENANTS, "{report:#?}");
    let groups = report.scopes[1].notice_groups();
    assert_eq!((groups.len(), groups[0].targets.len()), (1, TENANTS));
    let traffic = proxy.traffic();
    let per_tenant = traffic.round_trips as f64 / TENANTS as f64;
    assert!(per_tenant <= 1.2, "{per_tenant} round trips a tenant");
    let stored: i64 = sqlx::query_scalar(
        "select count(distinct h.schema_oid) from tenantry.notices n join tenantry.history h on h.id = n.history_id",
    )
    .fetch_one(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(stored, 500);
}
