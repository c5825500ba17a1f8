//! `drift`: who looks otherwise than the history should have made him is found, and told in what.

use std::time::Duration;

use sqlx::Connection;
use tenantry::{
    config::Settings,
    daemon,
    drift::{Course, Earlier, Groups, Pace, compare, find},
    fleet::Fleet,
    travel::Survey,
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Ran, Several, Shop, database,
    fleet::{empty_tenants, with_sets},
    server, snapshots, until,
};

/// `drift`, with what histories make tried out on the server of these tests.
async fn drift(shop: &Shop, arguments: &[&str]) -> Ran {
    let url = server().await.url();
    shop.run(&[&["drift", "--server", url], arguments].concat())
}

/// A shop whose second migration gives each tenant orders.
async fn with_orders(tenants: &[&str]) -> Shop {
    let shop = Shop::with(tenants).await;
    shop.migration(
        2,
        "orders",
        "CREATE TABLE orders (id bigserial PRIMARY KEY, priority int NOT NULL DEFAULT 0);
         CREATE INDEX orders_priority ON orders (priority);\n",
        "DROP TABLE orders;\n",
    );
    let up = shop.run(&["up"]);
    assert_eq!(up.code, 0, "{}", up.screen());
    shop
}

#[tokio::test]
async fn a_tenant_changed_by_hand_is_found_and_described() {
    let shop = with_orders(&["acme", "blue", "coral", "dora"]).await;
    let well = drift(&shop, &[]).await;
    assert_eq!(well.code, 0, "{}", well.screen());
    assert!(
        well.stdout
            .contains("tenants at 2 (orders): 4 as the history makes them"),
        "{}",
        well.screen()
    );

    shop.sql(
        "alter table blue.orders alter priority drop default; drop index blue.orders_priority",
    )
    .await;
    let found = drift(&shop, &[]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    let told = "tenants at 2 (orders): 1 of 4 not as the history makes them\n  blue\n    \
                orders.priority: default 0 → none\n    index orders_priority: missing";
    assert!(found.stdout.contains(told), "{}", found.screen());

    // Whoever asks later is told as well.
    let check = shop.run(&["status", "--check"]);
    assert_eq!(check.code, 6, "{}", check.screen());
    assert_eq!(shop.run(&["status", "--check", "acme"]).code, 0);
    let status = shop.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.screen());
    assert!(
        status
            .stdout
            .contains("blue on main: orders.priority: default 0 → none and 1 more"),
        "{}",
        status.screen()
    );
    let show = shop.run(&["tenant", "show", "blue"]);
    assert!(
        show.stdout.contains("index orders_priority: missing"),
        "{}",
        show.screen()
    );
    let others = drift(&shop, &["acme,coral"]).await;
    assert_eq!(others.code, 0, "{}", others.screen());

    shop.sql(
        "alter table blue.orders alter priority set default 0;
         create index orders_priority on blue.orders (priority)",
    )
    .await;
    assert_eq!(drift(&shop, &["blue"]).await.code, 0);
    let status = shop.run(&["status", "--check"]);
    assert_eq!(status.code, 0, "{}", status.screen());
    assert!(!status.stdout.contains("drifted"), "{}", status.screen());
}

#[tokio::test]
async fn json_has_stable_keys() {
    let shop = with_orders(&["acme", "blue", "coral"]).await;
    shop.sql(
        "create table shared.stray (); alter table blue.orders alter priority type bigint;
         alter table coral.orders alter priority type bigint; drop schema acme cascade",
    )
    .await;
    let found = drift(&shop, &["--output", "json"]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    let mut json = found.json();
    for group in json["groups"].as_array_mut().unwrap() {
        group["postgres"] = 15.into();
        for cluster in group["clusters"].as_array_mut().unwrap() {
            assert_eq!(cluster["fingerprint"].as_str().unwrap().len(), 64);
            cluster["fingerprint"] = "…".into();
        }
    }
    snapshots().bind(|| insta::assert_json_snapshot!("drift_json", json));
}

#[tokio::test]
async fn what_a_history_makes_is_tried_out_once() {
    let shop = with_orders(&["acme", "blue"]).await;
    assert_eq!(drift(&shop, &[]).await.code, 0);
    // Without any server to try things out on, and without the file.
    std::fs::remove_file(shop.path().join("tenant_migrations/2-orders.up.sql")).unwrap();
    std::fs::remove_file(shop.path().join("tenant_migrations/2-orders.down.sql")).unwrap();
    shop.sql("alter table acme.orders add column more int")
        .await;
    let nowhere = ["--server", "postgres://nobody@127.0.0.1:1/nothing"];
    let found = shop.run(&[&["drift"], &nowhere[..]].concat());
    assert_eq!(found.code, 6, "{}", found.screen());
    assert!(
        found.stdout.contains("orders.more: added"),
        "{}",
        found.screen()
    );
    let anew = shop.run(&[&["drift", "--fresh"], &nowhere[..]].concat());
    assert_eq!(anew.code, 69, "{}", anew.screen());
    // The texts are in the histories, so that it can be tried out without the files, too.
    let anew = drift(&shop, &["--fresh"]).await;
    assert_eq!(anew.code, 6, "{}", anew.screen());
    assert!(
        anew.stdout.contains("not as the history makes"),
        "{}",
        anew.screen()
    );
}

#[tokio::test]
async fn repeatables_belong_to_what_a_history_makes() {
    let shop = with_orders(&["acme", "blue"]).await;
    let file = "tenant_migrations/functions/two.sql";
    let function = "CREATE OR REPLACE FUNCTION two() RETURNS int LANGUAGE sql AS $$ select 2 $$;\n";
    shop.write(file, function);
    assert_eq!(shop.run(&["up"]).code, 0);
    let well = drift(&shop, &[]).await;
    assert_eq!(well.code, 0, "{}", well.screen());
    // The file is ahead of the tenants: what is kept still holds, and cannot be made anew.
    shop.write(file, &function.replace("select 2", "select 1 + 1"));
    let well = drift(&shop, &[]).await;
    assert_eq!(well.code, 0, "{}", well.screen());
    assert!(
        well.stdout.contains("2 as the history makes them"),
        "{}",
        well.screen()
    );
    let anew = drift(&shop, &["--fresh"]).await;
    assert_eq!(anew.code, 0, "{}", anew.screen());
    let told =
        "2 as most of them\n  as the repeatables in the files are not those that were applied";
    assert!(anew.stdout.contains(told), "{}", anew.screen());
}

const NOWHERE: [&str; 2] = ["--server", "postgres://nobody@127.0.0.1:1/nothing"];

#[tokio::test]
async fn what_a_history_makes_depends_on_the_shared_schema_below() {
    let shop = Shop::with(&["acme", "blue"]).await;
    let up = "CREATE TABLE chosen (LIKE shared.plans INCLUDING ALL);\n";
    shop.migration(2, "chosen", up, "DROP TABLE chosen;\n");
    assert_eq!(shop.run(&["up"]).code, 0);
    assert_eq!(drift(&shop, &[]).await.code, 0);
    assert_eq!(shop.run(&[&["drift"], &NOWHERE[..]].concat()).code, 0);
    // With another shared schema the same history makes something else.
    shop.write(
        "migrations/2-price.up.sql",
        "ALTER TABLE plans ADD price int;\n",
    );
    shop.write(
        "migrations/2-price.down.sql",
        "ALTER TABLE plans DROP price;\n",
    );
    assert_eq!(shop.run(&["up"]).code, 0);
    let unknown = shop.run(&[&["drift"], &NOWHERE[..]].concat());
    assert_eq!(unknown.code, 69, "{}", unknown.screen());
    let found = drift(&shop, &[]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    let told = "chosen.price: missing";
    assert!(found.stdout.contains(told), "{}", found.screen());
    let kept = shop.run(&[&["drift"], &NOWHERE[..]].concat());
    assert_eq!(kept.code, 6, "{}", kept.screen());
}

#[tokio::test]
async fn what_a_history_makes_depends_on_what_was_there_before() {
    let shop = Shop::with(&["acme"]).await;
    // What it makes depends on the database.
    let up = "DO $$ BEGIN
                  IF to_regtype('public.mood') IS NOT NULL THEN CREATE TABLE moods (); END IF;
              END $$;\n";
    shop.migration(2, "moods", up, "DROP TABLE IF EXISTS moods;\n");
    assert_eq!(shop.run(&["up"]).code, 0);
    shop.write("none.sql", "SELECT 1;\n");
    shop.write("mood.sql", "CREATE TYPE public.mood AS ENUM ('fine');\n");
    let kept = async |prepare: &[&str]| shop.run(&[&["drift"], prepare, &NOWHERE].concat()).code;
    assert_eq!(drift(&shop, &["--prepare", "none.sql"]).await.code, 0);
    assert_eq!(kept(&["--prepare", "none.sql"]).await, 0);
    // It is not what is made after something else.
    assert_eq!(kept(&["--prepare", "mood.sql"]).await, 69);
    let found = drift(&shop, &["--prepare", "mood.sql"]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    assert!(
        found.stdout.contains("table moods: missing"),
        "{}",
        found.screen()
    );
    assert_eq!(kept(&["--prepare", "mood.sql"]).await, 6);
    assert_eq!(kept(&["--prepare", "none.sql"]).await, 0);
    // Whoever does not say it takes what was tried out last.
    assert_eq!(kept(&[]).await, 6);
}

#[tokio::test]
async fn what_is_told_by_kind_only_is_counted() {
    let shop = Shop::with(&[]).await;
    let fleet = shop.fleet();
    empty_tenants(&shop.database, &fleet, 104).await;
    shop.sql(
        "do $$ begin
             for number in 1 .. 103 loop
                 execute format('create table tenant_%s.stray_%s ()', number, number);
             end loop;
         end $$",
    )
    .await;
    let found = drift(&shop, &["tenant_*"]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    let told = "  3 clusters are told by kind only: at most 100 of a group are looked at exactly, and none that is locked";
    assert!(found.stdout.contains(told), "{}", found.screen());
    let json = drift(&shop, &["tenant_*", "--output", "json"]).await.json();
    let group = &json["groups"][0];
    assert_eq!(group["told_by_kind"], 3, "{group:#}");
    let clusters = group["clusters"].as_array().unwrap();
    let unseen = clusters.iter().filter(|c| c["differences"].is_null());
    assert_eq!((clusters.len(), unseen.count()), (103, 3));
    assert_eq!(clusters[102]["kinds"], serde_json::json!(["table"]));
}

#[tokio::test]
async fn most_of_them_can_be_the_reference() {
    let shop = with_orders(&["acme", "blue", "coral"]).await;
    shop.sql("drop index coral.orders_priority").await;
    let nowhere = ["--server", "postgres://nobody@127.0.0.1:1/nothing"];
    let found = shop.run(&[&["drift", "--reference", "majority"], &nowhere[..]].concat());
    assert_eq!(found.code, 6, "{}", found.screen());
    let told = "1 of 3 not as most of them\n  coral\n    index orders_priority: missing";
    assert!(found.stdout.contains(told), "{}", found.screen());
}

#[tokio::test]
async fn an_odd_name_is_no_drift() {
    let shop = with_orders(&["acme", "blue", "coral"]).await;
    shop.migration(
        3,
        "expensive",
        "CREATE VIEW expensive AS SELECT orders.id FROM orders JOIN users ON users.email = orders.id::text;\n",
        "DROP VIEW expensive;\n",
    );
    for name in ["orders", "it's"] {
        let added = shop.run(&["tenant", "add", name]);
        assert_eq!(added.code, 0, "{}", added.screen());
    }
    assert_eq!(shop.run(&["up"]).code, 0);
    let well = drift(&shop, &[]).await;
    assert_eq!(well.code, 0, "{}", well.screen());
    let told = "tenants at 3 (expensive): 5 as the history makes them";
    assert!(well.stdout.contains(told), "{}", well.screen());
}

#[tokio::test]
async fn tenants_are_compared_with_those_at_the_same_place_and_what_cannot_be_compared_is_told() {
    let shop = Shop::with(&["acme", "blue", "coral", "dora"]).await;
    shop.migration(2, "more", "CREATE TABLE more ();\n", "DROP TABLE more;\n");
    assert_eq!(shop.run(&["up", "acme,blue"]).code, 0);
    assert_eq!(shop.run(&["tenant", "suspend", "blue"]).code, 0);
    shop.sql("create table blue.stray (); update tenantry.heads set dirty_version = '2' where schema_name = 'dora'")
        .await;
    let found = drift(&shop, &[]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    for part in [
        "tenants at 2 (more): 1 of 2 not as the history makes them\n  blue\n    table stray: added",
        "tenants at 1 (users): 1 as the history makes them",
        "tenants not looked at: dora: it stopped half-way at 2",
    ] {
        assert!(found.stdout.contains(part), "{part}: {}", found.screen());
    }
}

#[tokio::test]
async fn a_locked_tenant_is_told_and_the_others_are_looked_at() {
    let shop = with_orders(&["acme", "blue"]).await;
    let mut other = shop.database.connect().await;
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("alter table acme.orders add column late int")
        .execute(&mut *transaction)
        .await
        .unwrap();
    shop.sql("alter table blue.orders add column more int")
        .await;
    let found = drift(&shop, &[]).await;
    assert_eq!(found.code, 6, "{}", found.screen());
    for part in [
        "  blue\n    orders.more: added",
        "tenants not looked at: acme: it is locked",
    ] {
        assert!(found.stdout.contains(part), "{part}: {}", found.screen());
    }
    // What could not be looked at may have drifted.
    let only = drift(&shop, &["acme"]).await;
    assert_eq!(only.code, 1, "{}", only.screen());
}

#[tokio::test]
async fn tenants_of_several_shards_are_compared_with_one_history() {
    let mut several = Several::with(&[("eu1", 3), ("us1", 2)]).await;
    several
        .sql("us1", "alter table us1_2.users add column nick text")
        .await;
    let url = server().await.url();
    let found = several.run(&["drift", "--server", url]);
    assert_eq!(found.code, 6, "{}", found.screen());
    let told = "tenants at 1 (users): 1 of 5 not as the history makes them\n  us1/us1_2\n    users.nick: added";
    assert!(found.stdout.contains(told), "{}", found.screen());
    // A shard that is away holds nobody up.
    several.away(&["eu1"]);
    let found = several.run(&["drift", "--server", url]);
    assert_eq!(found.code, 6, "{}", found.screen());
    assert!(
        found.stdout.contains("1 of 2 not as the history"),
        "{}",
        found.screen()
    );
    assert!(
        found.stdout.contains("its shard cannot be worked on"),
        "{}",
        found.screen()
    );
}

#[tokio::test]
async fn looking_costs_the_same_number_of_queries_for_ten_tenants_and_for_three_hundred() {
    let mut counts = Vec::new();
    for tenants in [10, 300] {
        let (database, files) = (database().await, tempfile::tempdir().unwrap());
        for scope in ["shared", "tenant"] {
            std::fs::create_dir(files.path().join(scope)).unwrap();
        }
        let sets = (files.path().join("shared"), files.path().join("tenant"));
        let fleet: Fleet = with_sets(&database.url, &sets.0, &sets.1);
        empty_tenants(&database, &fleet, tenants).await;
        let mut connection = database.connect().await;
        sqlx::raw_sql("create extension pg_stat_statements; create table tenant_7.stray ()")
            .execute(&mut connection)
            .await
            .unwrap();
        database.queries().await;
        let survey = Survey::take(&fleet).await.unwrap();
        let mut groups = Groups::of(&fleet, &survey, |_| true, true).await.unwrap();
        find(&fleet, &mut groups, Earlier::Last).await.unwrap();
        let report = compare(
            &fleet,
            groups,
            Course::new(Pace::Full, &CancellationToken::new()),
        )
        .await
        .unwrap();
        assert_eq!(
            (report.drifted(), report.groups[0].count()),
            (1, tenants),
            "{report:#?}"
        );
        counts.push(database.queries().await);
    }
    assert_eq!(
        counts[0], counts[1],
        "queries for ten tenants and for three hundred"
    );
    assert!(counts[0] > 0, "pg_stat_statements has counted nothing");
}

#[tokio::test]
async fn the_daemon_looks_now_and_then_and_notes_what_it_finds() {
    let shop = with_orders(&["acme", "blue", "coral"]).await;
    shop.sql("drop index blue.orders_priority").await;
    let list = |name: &str| shop.path().join(name).display().to_string();
    let environment = [
        ("TENANTRY__HOME__URL", shop.database.url.clone()),
        ("TENANTRY__MIGRATIONS__SHARED", list("migrations")),
        ("TENANTRY__MIGRATIONS__TENANT", list("tenant_migrations")),
        ("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0".to_owned()),
        ("TENANTRY__DRIFT__INTERVAL", "20ms".to_owned()),
        ("TENANTRY__DRIFT__TENANTS_PER_SECOND", "100".to_owned()),
    ];
    let built = daemon::build(Settings::load(None, environment).unwrap())
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let run = built.run(stop.clone().cancelled_owned());
    let test = async {
        let mut connection = shop.database.connect().await;
        let mut noted = async || -> Vec<(String, String, Vec<String>)> {
            // The daemon makes the table when it starts.
            sqlx::query_as("select schema_name, reference, summary from tenantry.drifted")
                .fetch_all(&mut connection)
                .await
                .unwrap_or_default()
        };
        until("the daemon has found it", async || {
            !noted().await.is_empty()
        })
        .await;
        let missing = vec!["index orders_priority: missing".to_owned()];
        let found = ("blue".to_owned(), "majority".to_owned(), missing);
        assert_eq!(noted().await, [found]);
        shop.sql("create index orders_priority on blue.orders (priority)")
            .await;
        until("the daemon has seen it mended", async || {
            noted().await.is_empty()
        })
        .await;
        stop.cancel();
    };
    let (_, ended) = futures::join!(test, run);
    ended.unwrap();
}

#[tokio::test]
async fn who_is_moved_while_all_are_looked_at_has_not_drifted() {
    let shop = with_orders(&["acme", "blue", "coral"]).await;
    let fleet = shop.fleet();
    let survey = Survey::take(&fleet).await.unwrap();
    let groups = Groups::of(&fleet, &survey, |_| true, false).await.unwrap();
    // It stands elsewhere by now than it was seen to.
    assert_eq!(shop.run(&["down", "blue", "--steps", "1", "--yes"]).code, 0);
    let report = compare(
        &fleet,
        groups,
        Course::new(Pace::Full, &CancellationToken::new()),
    )
    .await
    .unwrap();
    assert_eq!((report.drifted(), report.groups[0].count()), (0, 2));
    let not: Vec<_> = report
        .not_looked
        .iter()
        .map(|not| (not.target.schema.as_str(), &*not.why))
        .collect();
    assert_eq!(not, [("blue", "it was moved while it was looked at")]);
}

#[tokio::test]
async fn the_daemon_looks_no_faster_than_it_may() {
    let shop = with_orders(&["acme", "blue", "coral"]).await;
    let fleet = shop.fleet();
    let survey = Survey::take(&fleet).await.unwrap();
    let groups = Groups::of(&fleet, &survey, |_| true, false).await.unwrap();
    let begun = std::time::Instant::now();
    let report = compare(
        &fleet,
        groups,
        Course::new(Pace::PerSecond(2), &CancellationToken::new()),
    )
    .await
    .unwrap();
    assert_eq!(report.groups[0].count(), 3);
    assert!(
        begun.elapsed() >= Duration::from_millis(1500),
        "three at two a second"
    );
}

#[tokio::test]
async fn a_shared_schema_that_no_migration_is_for_need_not_be_there() {
    let shop = Shop::with(&["acme", "blue"]).await;
    for direction in ["up", "down"] {
        let path = format!("migrations/1-plans.{direction}.sql");
        std::fs::remove_file(shop.path().join(path)).unwrap();
    }
    // As before the first `up`, for tenants that were imported.
    shop.sql("drop schema shared cascade; delete from tenantry.heads where schema_name = 'shared'")
        .await;
    let well = drift(&shop, &[]).await;
    assert_eq!(well.code, 0, "{}", well.screen());
    assert!(!well.screen().contains("shared"), "{}", well.screen());
}

#[tokio::test]
async fn nothing_that_is_told_of_a_schema_commands_the_terminal() {
    let shop = with_orders(&["acme"]).await;
    shop.sql("comment on table acme.orders is E'a\\x1b[2Jb\\x07c\\rd\\u009be\\x1b[8mf'")
        .await;
    for color in ["never", "always"] {
        let found = drift(&shop, &["--color", color]).await;
        assert_eq!(found.code, 6, "{}", found.screen());
        assert!(found.stdout.contains("\\u{1b}[2J"), "{}", found.screen());
        for raw in ["\u{1b}[2J", "\u{7}", "\r", "\u{9b}", "\u{1b}[8m"] {
            assert!(!found.screen().contains(raw), "{raw:?}: {}", found.screen());
        }
        // Its own colours are whole.
        let is_painted = found.stdout.contains("\u{1b}[1m");
        assert_eq!(is_painted, color == "always", "{:?}", found.stdout);
    }
}
