//! Rehearsals: what statements take is seen on copies that are as the originals are, and nothing else is touched.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tenantry::{
    drift::{Course, Pace, sweep},
    migration::Scope,
    plan::Goal,
    rehearse::{Allowed, Ground, Request, Thresholds},
    travel::Survey,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Ran, Several, Shop, database,
    fleet::{empty_tenants, with_sets},
    server, snapshots,
};

/// The command, with copies on the server of the tests.
async fn rehearse(shop: &Shop, arguments: &[&str]) -> Ran {
    let url = server().await.url();
    shop.run(&[&["rehearse", "--server", url], arguments].concat())
}

async fn json(shop: &Shop, arguments: &[&str]) -> (i32, Value) {
    let ran = rehearse(shop, &[arguments, &["--output", "json"]].concat()).await;
    assert!(!ran.stdout.is_empty(), "{}", ran.screen());
    (ran.code, ran.json())
}

/// The statements of the copy of a schema, in order.
fn statements(report: &Value, schema: &str) -> Vec<Value> {
    let copies = report["copies"].as_array().unwrap();
    let copy = copies.iter().find(|copy| copy["schema"] == schema);
    let copy = copy.unwrap_or_else(|| panic!("{schema}: {report:#}"));
    let transactions = copy["transactions"].as_array().unwrap();
    transactions
        .iter()
        .flat_map(|transaction| transaction["statements"].as_array().unwrap().clone())
        .collect()
}

/// `relation MODE` of each lock that is more than reading and writing rows takes.
fn locks(statement: &Value) -> Vec<String> {
    let locks = statement["locks"].as_array().unwrap().iter();
    locks
        .filter(|lock| lock["blocks"] != "nothing")
        .map(|lock| {
            let text = |key: &str| lock[key].as_str().unwrap();
            format!("{} {}", text("relation"), text("mode"))
        })
        .collect()
}

fn tables(statement: &Value, what: &str) -> Vec<String> {
    let found = statement[what].as_array().unwrap().iter();
    let full = found.filter(|found| found.get("is_full").is_none_or(|full| full == true));
    full.map(|found| found["table"].as_str().unwrap().to_owned())
        .collect()
}

fn kinds(report: &Value) -> Vec<&str> {
    let warnings = report["warnings"].as_array().unwrap().iter();
    warnings.map(|w| w["kind"].as_str().unwrap()).collect()
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn a_rewrite_is_told_from_a_change_of_the_catalog() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql("insert into acme.users select 'user ' || n from generate_series(1, 1000) n")
        .await;
    shop.migration(
        2,
        "columns",
        "ALTER TABLE users ADD constant int NOT NULL DEFAULT 7;
         ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid();
         ALTER TABLE users ALTER email SET NOT NULL;
         CREATE TABLE notes (user_email text);
         UPDATE users SET constant = 8 WHERE email = 'user 1';",
        "DROP TABLE notes; ALTER TABLE users DROP constant, DROP token, ALTER email DROP NOT NULL;",
    );
    let (code, report) = json(&shop, &["--large", "1000"]).await;
    let statements = statements(&report, "acme");
    assert_eq!(statements.len(), 5, "{report:#}");
    let [constant, token, not_null, create, update] = &statements[..] else {
        panic!("{report:#}");
    };
    assert_eq!(locks(constant), ["users ACCESS EXCLUSIVE"]);
    assert_eq!(tables(constant, "rewritten"), NONE);
    assert_eq!(tables(constant, "scanned"), NONE);
    assert_eq!(constant["grows"], false);
    // What is held already is not told twice.
    assert_eq!(locks(token), NONE);
    assert_eq!(tables(token, "rewritten"), ["users"]);
    assert_eq!(token["rewritten"][0]["rows"], 1000);
    assert_eq!(tables(not_null, "rewritten"), NONE);
    assert_eq!(tables(not_null, "scanned"), ["users"]);
    // Nobody waits for what nobody sees yet.
    assert_eq!(locks(create), NONE);
    assert_eq!(update["changed"][0]["rows"], 1);
    assert!(token["wal_bytes"].as_i64().unwrap() > constant["wal_bytes"].as_i64().unwrap());
    assert_eq!(
        kinds(&report),
        ["rewrite", "scan_under_lock", "scan_under_lock"]
    );
    assert_eq!(code, 4);
    let (code, report) = json(&shop, &["--large", "1001"]).await;
    assert_eq!((code, kinds(&report)), (0, vec![]));
    let (code, report) = json(&shop, &["--large", "1001", "--long", "0s"]).await;
    assert_eq!((code, kinds(&report)), (4, vec!["long_lock"]));
}

#[tokio::test]
async fn the_shared_schema_comes_first_and_what_is_not_the_tenants_is_told() {
    let shop = Shop::with(&["acme", "beta"]).await;
    shop.sql("insert into shared.plans values (1), (2); insert into acme.users values ('a')")
        .await;
    shop.write(
        "migrations/2-key.up.sql",
        "ALTER TABLE plans ADD PRIMARY KEY (id);\n",
    );
    shop.write(
        "migrations/2-key.down.sql",
        "ALTER TABLE plans DROP CONSTRAINT plans_pkey, ALTER id DROP NOT NULL;\n",
    );
    shop.migration(
        2,
        "plan",
        "CREATE INDEX users_email ON users (email);
         ALTER TABLE users ADD plan int REFERENCES shared.plans (id);
         UPDATE users SET plan = 2;",
        "ALTER TABLE users DROP plan; DROP INDEX users_email;",
    );
    let (code, report) = json(&shop, &[]).await;
    let [key] = &statements(&report, "shared")[..] else {
        panic!("{report:#}");
    };
    assert_eq!(locks(key), ["plans ACCESS EXCLUSIVE"]);
    assert_eq!(key["built"][0]["index"], "plans_pkey");
    let [index, reference, update] = &statements(&report, "acme")[..] else {
        panic!("{report:#}");
    };
    assert_eq!(locks(index), ["users SHARE"]);
    assert_eq!(tables(index, "built"), ["users"]);
    assert_eq!(tables(index, "scanned"), ["users"]);
    assert_eq!(
        locks(reference),
        ["users ACCESS EXCLUSIVE", "shared.plans SHARE ROW EXCLUSIVE"]
    );
    // The row of the shared table that it refers to was copied as well.
    assert_eq!(update["changed"][0]["rows"], 1);
    assert_eq!((code, kinds(&report)), (4, vec!["outside"]));
    assert_eq!(report["warnings"][0]["copies"], 2);
    let estimate = &report["estimate"];
    assert_eq!(estimate["shards"][0]["tenants"], 2);
    assert!(estimate["elapsed_us"].as_u64() >= estimate["slowest_us"].as_u64());
    // The fleet is as it was.
    let status = shop.run(&["status", "--check"]);
    assert_eq!(status.code, 3, "{}", status.screen());
}

#[tokio::test]
async fn what_one_tenants_rows_do_not_take_is_found_before_it_meets_them() {
    let shop = Shop::with(&["acme", "beta"]).await;
    shop.sql(
        "insert into acme.users values ('a'), ('b'); insert into beta.users values ('a'), ('a')",
    )
    .await;
    let up = "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);\n";
    shop.migration(
        2,
        "unique",
        up,
        "ALTER TABLE users DROP CONSTRAINT users_email_key;\n",
    );
    let (code, report) = json(&shop, &[]).await;
    assert_eq!(code, 1, "{report:#}");
    let ended: Vec<_> = report["copies"].as_array().unwrap().iter().collect();
    assert_eq!(ended[0]["ended"]["how"], "passed");
    assert_eq!(ended[1]["schema"], "beta");
    assert_eq!(ended[1]["ended"]["how"], "failed");
    assert_eq!(ended[1]["ended"]["failure"]["error"]["code"], "23505");
    let ran = rehearse(&shop, &[]).await;
    for line in [
        "✓ acme: 1 statement",
        "✗ beta: fails: tenant_migrations/2-unique.up.sql:1:1",
        "in beta, going up",
    ] {
        assert!(ran.screen().contains(line), "{line}: {}", ran.screen());
    }
    let ran = rehearse(&shop, &["acme"]).await;
    assert_eq!(ran.code, 0, "{}", ran.screen());
    assert!(!ran.stdout.contains("beta"), "{}", ran.screen());
    assert_eq!(rehearse(&shop, &["nobody"]).await.code, 2);
    // Without rows nobody sees it, which is said.
    let ran = rehearse(&shop, &["--no-data"]).await;
    assert_eq!(ran.code, 0, "{}", ran.screen());
    assert!(
        ran.stderr.contains("no rows were copied"),
        "{}",
        ran.screen()
    );
}

const RICH: &str = include_str!("../fixtures/rehearse/rich.sql");

#[tokio::test]
async fn a_copy_is_as_its_original() {
    let shop = Shop::with(&[]).await;
    let path = "set search_path = acme, pg_catalog";
    shop.sql(&format!("create schema acme; {path}; {RICH}"))
        .await;
    for command in [
        vec!["tenant", "import", "acme"],
        vec!["baseline", "1", "acme"],
    ] {
        let ran = shop.run(&command);
        assert_eq!(ran.code, 0, "{}", ran.screen());
    }
    let mut checks = String::new();
    let mut connection = shop.database.connect().await;
    for table in [
        "a",
        "b",
        "parts",
        "older",
        "younger",
        "log",
        "twice",
        "\"Odd \"\"name\"\"\"",
    ] {
        let sum = format!("select md5(string_agg(t::text, '|' order by t::text)) from {table} t");
        let query = format!("{path}; {sum}");
        let row = sqlx::raw_sql(sqlx::AssertSqlSafe(query)).fetch_one(&mut connection);
        let sum_there: String = sqlx::Row::get(&row.await.unwrap(), 0);
        checks += &format!(
            "DO $$ BEGIN IF ({sum}) IS DISTINCT FROM '{sum_there}' THEN RAISE 'the copy of % differs', \
             $q${table}$q$; END IF; END $$;\n"
        );
    }
    checks += "DO $$ BEGIN
                   IF nextval('called') <> 42 OR nextval('fresh') <> 7 THEN RAISE 'sequences differ'; END IF;
                   INSERT INTO a (body) VALUES ('next') RETURNING id = 4 INTO STRICT found_next;
               END $$;\n"
        .replace("BEGIN\n", "DECLARE found_next bool; BEGIN\n")
        .as_str();
    shop.migration(2, "checks", &checks, "SELECT 1;\n");
    let (code, report) = json(&shop, &[]).await;
    let copy = &report["copies"][0];
    assert_eq!(
        (code, &copy["ended"]["how"]),
        (0, &"passed".into()),
        "{copy:#}"
    );
    assert_eq!(copy["copied"]["left_out"], serde_json::json!([]));
    assert_eq!(copy["copied"]["partial"], serde_json::json!([]));
}

const EVERYTHING: &str = include_str!("../fixtures/structure/everything.sql");

/// What that needs beside it, which is no part of a schema.
const PREPARE: &str = include_str!("../fixtures/structure/prepare.sql");

#[tokio::test]
async fn a_structure_with_something_of_everything_is_copied() {
    let shop = Shop::with(&[]).await;
    let all =
        format!("{PREPARE} create schema acme; set search_path = acme, pg_catalog; {EVERYTHING}");
    shop.sql(&all).await;
    shop.run(&["tenant", "import", "acme"]);
    shop.run(&["baseline", "1", "acme"]);
    shop.migration(
        2,
        "more",
        "ALTER TABLE orders ADD more text;\n",
        "ALTER TABLE orders DROP more;\n",
    );
    shop.write("prepare.sql", PREPARE);
    let (code, report) = json(&shop, &["--prepare", "prepare.sql"]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(
        report["copies"][0]["copied"]["left_out"],
        serde_json::json!([])
    );
    // In place the live tables must not learn of it.
    let ran = shop.run(&["rehearse", "--in-place", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.screen());
}

#[tokio::test]
async fn no_more_is_copied_than_is_allowed_and_every_reference_holds() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "set search_path = acme;
         create table parents (id int primary key, body text);
         create table children (id int primary key, parent int not null references parents, other int references children);
         insert into parents select n, repeat(md5(n::text), 10) from generate_series(1, 5000) n;
         insert into children select n, n, nullif(n - 1, 0) from generate_series(1, 5000) n;
         insert into users select 'u' || n from generate_series(1, 20) n;
         create table lone as select id, body from parents;
         analyze parents, children, users, lone;",
    )
    .await;
    // Keys are checked once more when what they are built on changes.
    shop.migration(
        2,
        "wider",
        "ALTER TABLE lone ALTER id TYPE bigint;
         ALTER TABLE parents ALTER id TYPE bigint; ALTER TABLE children ALTER id TYPE bigint;\n",
        "ALTER TABLE parents ALTER id TYPE int; ALTER TABLE children ALTER id TYPE int;\n",
    );
    let (code, report) = json(&shop, &["--rows", "1000"]).await;
    assert_eq!(code, 0, "{report:#}");
    let copied = &report["copies"][0]["copied"];
    let partial = copied["partial"].as_array().unwrap();
    let names: Vec<_> = partial
        .iter()
        .map(|p| p["table"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["parents", "children", "lone"]);
    assert_eq!(partial[0]["of"], 5000);
    assert!(
        (500..=1000).contains(&partial[0]["rows"].as_u64().unwrap()),
        "{copied}"
    );
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("only a part was copied"), "{note}");
    let [wider, ..] = &statements(&report, "acme")[..] else {
        panic!("{report:#}");
    };
    let (seen, all) = (wider["elapsed_us"].as_u64(), wider["estimated_us"].as_u64());
    assert!(all > seen.map(|seen| seen * 2), "{wider:#}");
    assert_eq!(wider["rewritten"][0]["rows"], 5000);

    let (_, report) = json(&shop, &["--size", "256kB"]).await;
    let copied = &report["copies"][0]["copied"];
    assert!(copied["bytes"].as_u64().unwrap() < 400 << 10, "{copied}");
    assert!(copied["rows"].as_u64().unwrap() > 100, "{copied}");

    let (_, report) = json(&shop, &["--without", "children"]).await;
    let copied = &report["copies"][0]["copied"];
    assert_eq!(copied["rows"], 10020);
    assert_eq!(copied["partial"][0]["table"], "children");
    // A slip in a name must not copy what was to stay.
    let ran = rehearse(&shop, &["--without", "childern"]).await;
    assert_eq!(ran.code, 2, "{}", ran.screen());
    assert!(
        ran.stderr.contains("has a table childern"),
        "{}",
        ran.screen()
    );
}

#[tokio::test]
async fn what_fails_on_a_part_of_the_rows_is_told_with_doubt() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "set search_path = acme;
         create table parents (id int primary key);
         create table children (parent int);
         insert into parents select n from generate_series(1, 500) n;
         insert into children select n from generate_series(1, 100) n;
         analyze parents, children;",
    )
    .await;
    let up = "ALTER TABLE children ADD FOREIGN KEY (parent) REFERENCES parents (id);\n";
    shop.migration(
        2,
        "key",
        up,
        "ALTER TABLE children DROP CONSTRAINT children_parent_fkey;\n",
    );
    let (code, report) = json(&shop, &["--rows", "100"]).await;
    assert_eq!(code, 1);
    let ended = &report["copies"][0]["ended"];
    let doubt = ended["doubt"].as_str().unwrap();
    assert!(doubt.contains("not all rows of parents"), "{doubt}");
    assert_eq!(json(&shop, &[]).await.0, 0);
}

#[tokio::test]
async fn what_no_transaction_takes_is_run_by_itself() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql("insert into acme.users select 'u' || n from generate_series(1, 100) n")
        .await;
    shop.migration(
        2,
        "index",
        "-- tenantry: no-transaction\nCREATE INDEX CONCURRENTLY users_email ON users (email);\n\
         ALTER TABLE users ADD name text;\n",
        "DROP INDEX users_email; ALTER TABLE users DROP name;\n",
    );
    let (code, report) = json(&shop, &[]).await;
    assert_eq!(code, 0, "{report:#}");
    let transactions = report["copies"][0]["transactions"].as_array().unwrap();
    let is_one: Vec<_> = transactions
        .iter()
        .map(|t| t["is_transaction"] == true)
        .collect();
    assert_eq!(is_one, [false, true]);
    let [index, add] = &statements(&report, "acme")[..] else {
        panic!("{report:#}");
    };
    assert_eq!(locks(index), ["users SHARE UPDATE EXCLUSIVE"]);
    assert_eq!(index["locks_seen"], false);
    assert_eq!(tables(index, "built"), ["users"]);
    assert_eq!(tables(index, "scanned"), ["users"]);
    assert_eq!(locks(add), ["users ACCESS EXCLUSIVE"]);
    // In place nothing is committed, so that it cannot be run.
    let ran = shop.run(&["rehearse", "--in-place", "--output", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.screen());
    let ended = &ran.json()["copies"][0]["ended"];
    assert_eq!(ended["how"], "kept", "{ended}");
}

#[tokio::test]
async fn repeatables_and_new_values_of_enums_are_rehearsed_as_they_are_carried() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql("create type acme.mood as enum ('sad'); insert into acme.users values ('a')")
        .await;
    shop.migration(
        2,
        "glad",
        "ALTER TYPE mood ADD VALUE 'glad';\n",
        "SELECT 1;\n",
    );
    let up = "ALTER TABLE users ADD feels mood DEFAULT 'glad';\n";
    shop.migration(3, "feels", up, "ALTER TABLE users DROP feels;\n");
    shop.write(
        "tenant_migrations/functions/count.sql",
        "CREATE OR REPLACE FUNCTION count_users() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users';\n",
    );
    let (code, report) = json(&shop, &[]).await;
    assert_eq!(code, 0, "{report:#}");
    let transactions = report["copies"][0]["transactions"].as_array().unwrap();
    assert_eq!(transactions.len(), 2);
    let last = transactions[1]["statements"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["place"]["name"], "count");
    assert_eq!(last["place"]["version"], Value::Null);
}

#[tokio::test]
async fn one_of_each_size_is_copied_and_always_the_largest() {
    let shop = Shop::with(&["a", "b", "c", "d"]).await;
    for (tenant, rows) in [("a", 200), ("b", 40_000), ("c", 400), ("d", 10)] {
        let insert = format!(
            "insert into {tenant}.users select repeat('x', 99) from generate_series(1, {rows})"
        );
        shop.sql(&insert).await;
    }
    shop.migration(
        2,
        "token",
        "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid();\n",
        "ALTER TABLE users DROP token;\n",
    );
    let (_, report) = json(&shop, &["--samples", "2"]).await;
    let copies = report["copies"].as_array().unwrap();
    let schemas: Vec<_> = copies
        .iter()
        .map(|copy| copy["schema"].as_str().unwrap())
        .collect();
    assert_eq!(schemas, ["a", "b"]);
    assert_eq!(report["tenants"], 4);
    assert_eq!(report["estimate"]["shards"][0]["tenants"], 4);
    assert_eq!(report["estimate"]["slowest"], Value::from("b"));
}

/// Schema, cluster and for how many it stands, of each copy of a tenant.
fn stands(report: &Value) -> Vec<(&str, u64, u64)> {
    let copies = report["copies"].as_array().unwrap().iter();
    let tenants = copies.filter(|copy| copy["scope"] == "tenant");
    tenants
        .map(|copy| {
            let number = |key: &str| copy["stands_for"][key].as_u64().unwrap();
            let schema = copy["schema"].as_str().unwrap();
            (schema, number("cluster"), number("tenants"))
        })
        .collect()
}

const TOKEN: (&str, &str) = (
    "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid();\n",
    "ALTER TABLE users DROP token;\n",
);

#[tokio::test]
async fn a_tenant_that_was_changed_by_hand_is_among_the_samples() {
    let shop = Shop::with(&["a", "b", "c", "d", "e"]).await;
    shop.sql(
        "alter table b.users add nick text;
         alter table d.users alter email set not null;
         alter table e.users alter email set not null;
         insert into a.users select repeat('x', 99) from generate_series(1, 400)",
    )
    .await;
    shop.migration(2, "token", TOKEN.0, TOKEN.1);
    let (code, report) = json(&shop, &["--samples", "3"]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(stands(&report), [("a", 1, 2), ("e", 2, 2), ("b", 3, 1)]);
    let clusters = report["clusters"].as_array().unwrap().iter();
    let clusters: Vec<_> = clusters
        .map(|cluster| {
            assert_eq!(cluster["fingerprint"].as_str().unwrap().len(), 64);
            let number = |key: &str| cluster[key].as_u64().unwrap();
            (number("cluster"), number("tenants"), number("copies"))
        })
        .collect();
    assert_eq!(clusters, [(1, 2, 1), (2, 2, 1), (3, 1, 1)]);

    let ran = rehearse(&shop, &["--samples", "2"]).await;
    assert_eq!(ran.code, 0, "{}", ran.screen());
    for line in [
        "; stands for 2 tenants of cluster 1\n",
        "tenants by structure: 3 clusters; `tenantry drift` tells in what they differ\n  1: 2 tenants, 1 copy\n",
        "\n  3: 1 tenant, 0 copies\n",
        "no copy stands for the structure of 1 tenant (1 cluster); more `--samples` do",
    ] {
        assert!(ran.screen().contains(line), "{line}: {}", ran.screen());
    }
}

#[tokio::test]
async fn who_cannot_be_looked_at_in_time_is_told_and_chosen_by_size() {
    let shop = Shop::with(&["a", "b"]).await;
    shop.sql("alter table b.users add nick text").await;
    shop.migration(2, "token", TOKEN.0, TOKEN.1);
    let (code, report) = json(&shop, &["--look", "0s"]).await;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(stands(&report), [("a", 1, 1), ("b", 1, 1)]);
    assert_eq!(report["clusters"][0]["fingerprint"], Value::Null);
    let told = "the structure of 2 tenants is not known, so that nobody was chosen by it: looking may take 0 s at most \
                (`--look` gives it more time)";
    assert_eq!(report["notes"][0], told);
}

#[tokio::test]
async fn who_is_cut_off_by_the_deadline_was_not_looked_at() {
    let shop = Shop::with(&["a", "b"]).await;
    let fleet = shop.fleet();
    let survey = Survey::take(&fleet).await.unwrap();
    let oids: Vec<_> = survey
        .tenants
        .iter()
        .map(|standing| {
            let head = &standing.pinned.as_ref().unwrap().head;
            (standing.target.clone(), head.schema_oid)
        })
        .collect();
    // As a server that is slow.
    shop.sql(
        "create or replace function tenantry.fingerprints(p_query text, p_schemas oid[], p_locks bigint)
         returns table (namespace oid, kind text, objects bigint, hash text, reason text)
         language sql as 'select null::oid, null, null::bigint, null, null from pg_sleep(60)'",
    )
    .await;
    let stop = CancellationToken::new();
    let course = Course {
        deadline: Some(Instant::now() + Duration::from_secs(2)),
        ..Course::new(Pace::Full, &stop)
    };
    let looked = sweep(&fleet, oids, course).await;
    assert!(looked.is_empty(), "{looked:?}");
}

#[tokio::test]
async fn choosing_costs_the_same_number_of_queries_for_ten_tenants_and_for_three_hundred() {
    let mut counts = Vec::new();
    for tenants in [10, 300] {
        let (database, files) = (database().await, tempfile::tempdir().unwrap());
        for scope in ["shared", "tenant"] {
            std::fs::create_dir(files.path().join(scope)).unwrap();
        }
        let sets = (files.path().join("shared"), files.path().join("tenant"));
        std::fs::write(sets.1.join("1-t.up.sql"), "create table t ()").unwrap();
        std::fs::write(sets.1.join("1-t.down.sql"), "drop table t").unwrap();
        let fleet = with_sets(&database.url, &sets.0, &sets.1);
        empty_tenants(&database, &fleet, tenants).await;
        sqlx::raw_sql("create extension pg_stat_statements; create table tenant_7.stray ()")
            .execute(&mut database.connect().await)
            .await
            .unwrap();
        database.queries().await;
        let request = Request {
            goal: Goal::Latest,
            scopes: &[Scope::Tenant],
            select: &|_| true,
            allowed: Allowed {
                data: true,
                rows: 10,
                bytes: 1 << 20,
                without: Vec::new(),
            },
            parts: 2,
            look: Duration::from_secs(120),
            shows_values: false,
            thresholds: Thresholds {
                long: Duration::from_secs(1),
                large: 1000,
            },
            observe: &|_| (),
            stop: &CancellationToken::new(),
        };
        let ground = Ground::Scratch {
            server: server().await,
            prepare: None,
        };
        let report = tenantry::rehearse::rehearse(&fleet, ground, &request);
        let report = report.await.unwrap();
        let stand: Vec<_> = report
            .copies
            .iter()
            .map(|copy| copy.stands_for.unwrap().tenants)
            .collect();
        assert_eq!(stand, [tenants - 1, 1], "{report:#?}");
        counts.push(database.queries().await);
    }
    assert_eq!(
        counts[0], counts[1],
        "queries for ten tenants and for three hundred"
    );
    assert!(counts[0] > 0, "pg_stat_statements has counted nothing");
}

#[tokio::test]
async fn in_place_nothing_is_committed_and_nothing_stays() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "alter table shared.plans add primary key (id);
         insert into shared.plans values (1);
         alter table acme.users add plan int references shared.plans;
         insert into acme.users select 'u' || n, 1 from generate_series(1, 50) n;
         -- Of one whose process was killed; and one that only has such a name.
         create schema tenantry_rehearsal_1;
         create table tenantry_rehearsal_1.users ();
         comment on schema tenantry_rehearsal_1 is 'made by tenantry rehearse, which removes it at its end';
         create schema tenantry_rehearsal_mine;",
    )
    .await;
    shop.migration(
        2,
        "token",
        "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid();\nCREATE TYPE mood AS ENUM ();\n",
        "ALTER TABLE users DROP token;\n",
    );
    let ran = shop.run(&["rehearse", "--in-place", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.screen());
    let report = ran.json();
    assert_eq!(report["in_place"], true);
    let statements = statements(&report, "acme");
    assert_eq!(tables(&statements[0], "rewritten"), ["users"]);
    assert_eq!(statements[0]["rewritten"][0]["rows"], 50);
    let left_out = &report["copies"][0]["copied"]["left_out"];
    assert_eq!(
        left_out[0],
        "foreign key users_plan_fkey of users to shared.plans"
    );
    assert!(
        report["notes"][0]
            .as_str()
            .unwrap()
            .contains("tenantry_rehearsal_1 "),
        "{report:#}"
    );
    assert_eq!(copies_in_place(&shop).await, ["tenantry_rehearsal_mine"]);

    // What others use is let go of at once, and the plan goes no further there.
    let up = "ALTER TABLE users ADD other int REFERENCES shared.plans (id);\nSELECT 1;\n";
    shop.migration(3, "other", up, "ALTER TABLE users DROP other;\n");
    let ran = shop.run(&["rehearse", "--in-place"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout
            .contains("it locks shared.plans (SHARE ROW EXCLUSIVE), which is in use"),
        "{}",
        ran.screen()
    );

    // An error leaves as little behind.
    shop.migration(3, "other", "SELECT nothing;\n", "SELECT 1;\n");
    let ran = shop.run(&["rehearse", "--in-place"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("3-other.up.sql:1:8"),
        "{}",
        ran.screen()
    );
    assert_eq!(copies_in_place(&shop).await, ["tenantry_rehearsal_mine"]);
    let status = shop.run(&["status", "--check"]);
    assert_eq!(status.code, 3, "{}", status.screen());
}

async fn copies_in_place(shop: &Shop) -> Vec<String> {
    sqlx::query_scalar(
        "select nspname::text from pg_namespace where nspname like 'tenantry\\_rehearsal%'",
    )
    .fetch_all(&mut shop.database.connect().await)
    .await
    .unwrap()
}

/// Whether a statement with this mark runs, on any database.
const SLEEPS: &str = "select exists (select from pg_stat_activity where query like 'SELECT pg_sleep(60), ''{mark}''%')";

#[tokio::test]
async fn a_rehearsal_that_is_stopped_leaves_nothing_behind() {
    let shop = Shop::with(&["acme"]).await;
    let url = server().await.url();
    let scratch = ["rehearse", "--server", url];
    for (arguments, mark) in [
        (&scratch[..], "scratch"),
        (&["rehearse", "--in-place"], "in place"),
    ] {
        let mark = format!("{mark} {}", shop.database.url.rsplit('/').next().unwrap());
        shop.migration(
            2,
            "slow",
            &format!("SELECT pg_sleep(60), '{mark}';\n"),
            "SELECT 1;\n",
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .args(arguments)
            .current_dir(shop.path())
            .env("TENANTRY__HOME__URL", &shop.database.url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let query = SLEEPS.replace("{mark}", &mark);
        let mut connection = shop.database.connect().await;
        crate::support::until("the statement runs", async || {
            let query = sqlx::AssertSqlSafe(query.clone());
            sqlx::query_scalar::<_, bool>(query)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{mark}");
        assert_eq!(copies_in_place(&shop).await, NONE);
        let like = format!("tenantry\\_rehearse\\_{id}\\_%");
        crate::support::until("the databases are gone", async || {
            let gone = "select not exists (select from pg_database where datname like $1)";
            sqlx::query_scalar::<_, bool>(gone)
                .bind(&like)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_rehearsed_is_an_object() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql("insert into acme.users values ('a'), ('b'); analyze acme.users")
        .await;
    let up = "ALTER TABLE users ADD token uuid DEFAULT gen_random_uuid();\n";
    shop.migration(2, "token", up, "ALTER TABLE users DROP token;\n");
    let (code, mut report) = json(&shop, &["--large", "2"]).await;
    assert_eq!(code, 4);
    clear(&mut report);
    snapshots().bind(|| insta::assert_json_snapshot!("rehearse_json", report));
    let nothing = Shop::with(&["acme"]).await;
    let ran = rehearse(&nothing, &[]).await;
    assert_eq!(ran.screen(), "exit 0\nnothing is pending\n");
}

/// Without what differs from run to run.
fn clear(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if key.ends_with("_us") || key.ends_with("bytes") {
                    assert!(value.is_u64(), "{key}: {value}");
                    *value = 0.into();
                } else if key == "fingerprint" {
                    assert_eq!(value.as_str().unwrap().len(), 64, "{value}");
                    *value = "…".into();
                } else {
                    clear(value);
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(clear),
        _ => {}
    }
}

#[tokio::test]
async fn each_shard_has_copies_of_its_own_and_one_that_is_away_is_named() {
    let mut several = Several::with(&[("eu", 2), ("us", 1), ("far", 1)]).await;
    several.migration(
        "shared/2-prices",
        "create table prices (id int)",
        "drop table prices",
    );
    several.migration(
        "tenant/2-names",
        "alter table users add name text",
        "alter table users drop name",
    );
    several.away(&["far"]);
    let url = server().await.url();
    let ran = several.run(&["rehearse", "--server", url, "--output", "json"]);
    // Of some tenants nobody knows.
    assert_eq!(ran.code, 1, "{}", ran.screen());
    let report = ran.json();
    assert_eq!(report["away"], serde_json::json!(["far"]));
    let copies = report["copies"].as_array().unwrap().iter();
    let schemas: Vec<_> = copies
        .map(|copy| (copy["shard"].as_str(), copy["schema"].as_str()))
        .collect();
    let expected = [
        ("eu", "shared"),
        ("eu", "eu_2"),
        ("us", "shared"),
        ("us", "us_1"),
    ];
    for (shard, schema) in expected {
        assert!(
            schemas.contains(&(Some(shard), Some(schema))),
            "{schemas:?}"
        );
    }
    let notes = report["notes"].as_array().unwrap().iter();
    let away = notes.filter(|note| note.as_str().unwrap().contains("far_1 is left out"));
    assert_eq!(away.count(), 1, "{report:#}");
    assert_eq!(report["estimate"]["shards"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_shard_that_cannot_be_copied_from_is_named_and_the_others_are_rehearsed() {
    let mut several = Several::with(&[("eu", 1), ("us", 2)]).await;
    several.migration(
        "tenant/2-names",
        "alter table users add name text",
        "alter table users drop name",
    );
    several.set(
        "us",
        "direct_url = \"postgres://nobody@127.0.0.1:1/nothing\"",
    );
    let url = server().await.url();
    for way in [&["--server", url][..], &["--in-place"]] {
        let ran = several.run(&[&["rehearse"], way, &["--output", "json"]].concat());
        assert_eq!(ran.code, 1, "{}", ran.screen());
        let report = ran.json();
        assert_eq!(report["away"], serde_json::json!([]));
        assert_eq!(stands(&report), [("eu_1", 1, 1)]);
        assert_eq!(report["copies"][0]["ended"]["how"], "passed", "{report:#}");
        let unwell = report["unwell"].as_array().unwrap();
        assert_eq!((unwell.len(), &unwell[0]["shard"]), (1, &"us".into()));
        let message = unwell[0]["message"].as_str().unwrap();
        assert!(message.contains("`shards.us.direct_url`"), "{message}");
    }
    let ran = several.run(&["rehearse", "--server", url]);
    let told = "error: nothing was rehearsed on shard us: cannot connect to us at 127.0.0.1:1";
    assert!(ran.stderr.contains(told), "{}", ran.screen());

    // Where nothing is left, that is the answer.
    several.set(
        "eu",
        "direct_url = \"postgres://nobody@127.0.0.1:1/nothing\"",
    );
    let ran = several.run(&["rehearse", "--server", url]);
    assert_eq!(ran.code, 69, "{}", ran.screen());
    for shard in ["eu", "us"] {
        let setting = format!("`shards.{shard}.direct_url`");
        assert!(ran.stderr.contains(&setting), "{}", ran.screen());
    }
}

#[tokio::test]
async fn what_the_shared_schema_lacks_is_not_referred_to() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "alter table shared.plans add primary key (id);
         insert into shared.plans select n from generate_series(1, 300) n;
         analyze shared.plans;
         set search_path = acme;
         alter table users add plan int references shared.plans;
         insert into users select 'u' || n, n from generate_series(1, 90) n;
         create table log (id int, day int) partition by list (day);
         create table log_1 partition of log for values in (1);
         insert into log values (1, 1);",
    )
    .await;
    let up = "UPDATE users SET plan = plan; UPDATE log SET id = 2; INSERT INTO shared.plans VALUES (999);\n";
    shop.migration(2, "update", up, "SELECT 1;\n");
    let (code, report) = json(&shop, &["--rows", "100", "--without", "log"]).await;
    let copied = &report["copies"][0]["copied"];
    assert_eq!(copied["left_out"], serde_json::json!([]));
    let partial = copied["partial"].as_array().unwrap();
    let names: Vec<_> = partial
        .iter()
        .map(|p| p["table"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["log_1", "users"], "{copied}");
    let [users, log, plans] = &statements(&report, "acme")[..] else {
        panic!("{report:#}");
    };
    assert!(
        (1..90).contains(&users["changed"][0]["rows"].as_u64().unwrap()),
        "{users:#}"
    );
    assert_eq!(log["changed"], serde_json::json!([]));
    assert_eq!(plans["changed"][0]["table"], "shared.plans");
    assert_eq!((code, kinds(&report)), (4, vec!["outside"]));
    let message = report["warnings"][0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("rows of shared.plans are changed"),
        "{message}"
    );
}

/// A statement, what it locks, what it writes anew and what it reads whole.
type Takes = (&'static str, Names, Names, Names);

type Names = &'static [&'static str];

/// Each in a transaction of its own.
const TAKES: &[Takes] = &[
    (
        "ALTER TABLE children ADD a timestamptz DEFAULT now()",
        &["children ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "ALTER TABLE children ADD b bigserial",
        &["children ACCESS EXCLUSIVE"],
        &["children"],
        &["children"],
    ),
    (
        "ALTER TABLE children ALTER n SET STATISTICS 50",
        &["children SHARE UPDATE EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "ALTER TABLE children ALTER label TYPE text",
        &["children ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "ALTER TABLE children ALTER n TYPE bigint",
        &["children ACCESS EXCLUSIVE"],
        &["children"],
        &["children"],
    ),
    (
        "ALTER TABLE children ADD CONSTRAINT positive CHECK (n > 0) NOT VALID",
        &["children ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "ALTER TABLE children VALIDATE CONSTRAINT positive",
        &["children SHARE UPDATE EXCLUSIVE"],
        &[],
        &["children"],
    ),
    (
        "ALTER TABLE children ADD FOREIGN KEY (parent) REFERENCES parents (id)",
        &[
            "children SHARE ROW EXCLUSIVE",
            "parents SHARE ROW EXCLUSIVE",
        ],
        &[],
        &["children", "parents"],
    ),
    (
        "ALTER TABLE children DROP CONSTRAINT children_parent_fkey",
        &["children ACCESS EXCLUSIVE", "parents ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "CREATE UNIQUE INDEX children_n ON children (n)",
        &["children SHARE"],
        &[],
        &["children"],
    ),
    (
        "DROP INDEX children_n",
        &["children ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "CREATE TRIGGER kept BEFORE UPDATE ON children FOR EACH ROW
         EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        &["children SHARE ROW EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "COMMENT ON TABLE children IS 'of parents'",
        &["children SHARE UPDATE EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "ALTER TABLE children RENAME TO kids",
        &["children ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    ("TRUNCATE kids", &["kids ACCESS EXCLUSIVE"], &[], &[]),
    (
        "DROP TABLE parents",
        &["parents ACCESS EXCLUSIVE"],
        &[],
        &[],
    ),
    (
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql RETURN 1",
        &[],
        &[],
        &[],
    ),
];

#[tokio::test]
async fn each_statement_takes_what_postgresql_says_it_takes() {
    let shop = Shop::with(&["acme"]).await;
    shop.sql(
        "set search_path = acme;
         create table parents (id int primary key);
         create table children (id int primary key, parent int, n int, label varchar(20));
         insert into parents select n from generate_series(1, 500) n;
         insert into children select n, n, n, 'label ' || n from generate_series(1, 500) n;",
    )
    .await;
    let texts: Vec<_> = TAKES.iter().map(|(statement, ..)| *statement).collect();
    let up = format!("-- tenantry: no-transaction\n{};\n", texts.join(";\n"));
    shop.migration(2, "all", &up, "-- tenantry: no-transaction\nSELECT 1;\n");
    let (_, report) = json(&shop, &[]).await;
    let statements = statements(&report, "acme");
    assert_eq!(
        statements.len(),
        TAKES.len(),
        "{:#}",
        report["copies"][0]["ended"]
    );
    for ((text, locked, rewritten, scanned), statement) in TAKES.iter().zip(&statements) {
        let found = (
            locks(statement),
            tables(statement, "rewritten"),
            tables(statement, "scanned"),
        );
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let expected = (names(locked), names(rewritten), names(scanned));
        assert_eq!(found, expected, "{text}");
    }
    let emptied = statements.iter().map(|statement| &statement["emptied"]);
    let emptied: Vec<_> = emptied.filter(|names| names[0].is_string()).collect();
    assert_eq!(emptied, [&serde_json::json!(["kids"])]);
    let ran = rehearse(&shop, &[]).await;
    for line in [
        "tenant_migrations/2-all.up.sql:3:1 ALTER TABLE children ADD b bigserial\n  1 copy: ",
        "\n  locks children: ACCESS EXCLUSIVE, blocks reads and writes\n  rewrites children: 500 rows\n",
        "\n  builds index children_n on children\n  reads all of children: 500 rows\n",
        " for 1 tenant, the slowest of them acme with ",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.screen());
    }
}
