//! Up, down and up again: sound sets are exact, faulty ones are caught, in words that name what is wrong.

use std::{path::PathBuf, process::Output};

use tenantry::{
    config::Settings,
    migration::Scope,
    verify::{Proof, Report, Request, Verdict, verify},
};

use crate::support::{Written, server};

const BOTH: &[Scope] = &[Scope::Shared, Scope::Tenant];

/// Settings with these directories of the project as sets, and no database.
fn environment(shared: &str, tenant: &str) -> [(&'static str, String); 2] {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let directory = |name: &str| root.join(name).display().to_string();
    [
        ("TENANTRY__MIGRATIONS__SHARED", directory(shared)),
        ("TENANTRY__MIGRATIONS__TENANT", directory(tenant)),
    ]
}

async fn roundtrip(shared: &str, tenant: &str, scopes: &[Scope]) -> Report {
    let settings = Settings::load(None, environment(shared, tenant)).unwrap();
    let request = Request {
        scopes,
        ..Request::new(&settings)
    };
    verify(server().await, &request).await.unwrap()
}

/// A line a proof with its verdict, and what was found below it.
pub(crate) fn words<'a>(proofs: impl IntoIterator<Item = &'a Proof>) -> String {
    let mut words = String::new();
    for proof in proofs {
        words += &format!("{}: {}\n", proof.name, proof.verdict);
        for finding in &proof.findings {
            words += &format!("{finding}\n");
        }
    }
    words.replace(env!("CARGO_MANIFEST_DIR"), "")
}

#[tokio::test]
async fn the_sample_sets_are_exact() {
    let report = roundtrip("migrations", "tenant_migrations", BOTH).await;
    for scope in &report.scopes {
        assert_eq!(
            scope.count(Verdict::Exact),
            scope.migrations.len(),
            "{}",
            words(scope.proofs())
        );
    }
    let [shared, tenant] = &report.scopes[..] else {
        panic!("{report:#?}")
    };
    assert!(shared.migrations.len() > 3 && tenant.migrations.len() > 10);
    assert!(report.is_ok(), "{}", words(tenant.proofs()));
    assert_eq!((tenant.back_to, tenant.left_in_place), (None, 2));
    assert!(tenant.whole.is_some() && tenant.second_tenant.is_some());
}

#[tokio::test]
async fn faulty_ways_back_are_caught() {
    let (shared, tenant) = (
        "tests/fixtures/roundtrip/shared",
        "tests/fixtures/roundtrip/tenant",
    );
    let report = roundtrip(shared, tenant, &[Scope::Tenant]).await;
    assert!(!report.is_ok());
    insta::assert_snapshot!(words(report.scopes[0].proofs()), @r#"
    one-way: irreversible
    orders: exact
    forgotten-index: fails
    the down leaves another structure than the first up found:
      index orders_by_amount: added
    the second up fails:
      /tests/fixtures/roundtrip/tenant/2-forgotten-index.up.sql:2:1: relation "orders_by_amount" already exists (SQLSTATE 42P07)
    lost-default: differs
    the down leaves another structure than the first up found:
      orders.amount: default 1 → none
    function-not-restored: differs
    the down leaves another structure than the first up found:
      function vat(integer): missing
    sound: exact
    down-with-slip: fails
    the down fails:
      /tests/fixtures/roundtrip/tenant/6-down-with-slip.down.sql:1:1: column "latest_seen" of relation "orders" does not exist (SQLSTATE 42703)
    column-moves: differs
    the down leaves another structure than the first up found:
      orders: column order id, amount, region, note, last_seen → id, amount, note, last_seen, region
    asks-all-schemas: exact
    from nothing to 1 at once: exact
    from 1 to 3 at once: exact
    from 3 to 5 at once: exact
    from 5 to 7 at once: exact
    from nothing to 3 at once: exact
    from 3 to 7 at once: exact
    from nothing to 7 at once: exact
    from nothing to 8 at once: exact
    the whole set: fails
    the down fails:
      /tests/fixtures/roundtrip/tenant/6-down-with-slip.down.sql:1:1: column "latest_seen" of relation "orders" does not exist (SQLSTATE 42703)
    a second tenant: differs
    the up of a second tenant leaves another structure than the first up left:
      orders.channel: missing
    "#);
}

#[tokio::test]
async fn eight_ways_back_that_are_broken_are_caught_eight_times_each_by_its_name() {
    let empty = "tests/fixtures/roundtrip/empty";
    let report = roundtrip(empty, "tests/fixtures/roundtrip/broken", &[Scope::Tenant]).await;
    let [tenant] = &report.scopes[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(tenant.count(Verdict::Exact), 1, "the first is sound");
    assert_eq!(tenant.count(Verdict::Differs), 8);
    insta::assert_snapshot!(words(&tenant.migrations), @r#"
    orders: exact
    forgotten-index: differs
    the down leaves another structure than the first up found:
      index orders_by_amount: added
    wrong-type: differs
    the down leaves another structure than the first up found:
      orders.amount: type integer → bigint
    lost-default: differs
    the down leaves another structure than the first up found:
      orders.amount: default 1 → none
    lost-comment: differs
    the down leaves another structure than the first up found:
      orders.note: comment As on the bill → none
    enum-order: differs
    the down leaves another structure than the first up found:
      type mood: labels 'sad', 'ok', 'happy' → 'ok', 'sad', 'happy'
    the second up leaves another structure than the first up left:
      type mood: labels 'sad', 'so-so', 'ok', 'happy' → 'so-so', 'ok', 'sad', 'happy'
    dropped-trigger: differs
    the down leaves another structure than the first up found:
      trigger orders_touched on orders: missing
    privilege: differs
    the down leaves another structure than the first up found:
      orders.amount: privileges of pg_monitor none → SELECT
      orders.id: privileges of pg_monitor none → SELECT
    sequence-ownership: differs
    the down leaves another structure than the first up found:
      sequence ticket: owned by none → orders.id
    "#);
}

#[tokio::test]
async fn a_report_that_has_no_place_is_noticed_before_the_server_starts() {
    let mut command = crate::support::tenantry();
    command
        .args(["verify", "--report", "junit=/nowhere/at/all.xml"])
        .args(["--server", "postgres://nobody@127.0.0.1:1/nothing"])
        .envs(environment("migrations", "tenant_migrations"));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot write /nowhere/at/all.xml"), "{said}");
}

#[tokio::test]
async fn nothing_is_tried_after_an_up_that_fails() {
    let stops = "tests/fixtures/roundtrip/stops";
    let empty = "tests/fixtures/roundtrip/empty";
    let report = roundtrip(empty, stops, &[Scope::Tenant]).await;
    assert!(!report.is_ok());
    insta::assert_snapshot!(words(report.scopes[0].proofs()), @r#"
    sound: exact
    fails: fails
    the up fails:
      /tests/fixtures/roundtrip/stops/2-fails.up.sql:1:1: relation "nowhere" does not exist (SQLSTATE 42P01)
    after: not tried
    "#);
    // As the shared set, it keeps the tenants' from being tried at all.
    let report = roundtrip(stops, empty, &[Scope::Tenant]).await;
    assert!(report.scopes[0].not_begun.is_some() && !report.is_ok());
}

#[tokio::test]
async fn what_is_refused_is_told_of_all_migrations_whichever_stops_the_others() {
    let set = Written::new(&[
        ("t", "create table t (id int);", Some("drop table t;")),
        (
            "first",
            "create index concurrently a on t (id);",
            Some("drop index a;"),
        ),
        ("sound", "create table u (id int);", Some("drop table u;")),
        (
            "second",
            "create index concurrently b on t (id);",
            Some("drop index b;"),
        ),
    ]);
    let report = set.verify().await;
    let verdicts: Vec<_> = report.migrations.iter().map(|p| p.verdict).collect();
    let (refused, not_tried) = (Verdict::Refused, Verdict::NotTried);
    assert_eq!(verdicts, [Verdict::Exact, refused, not_tried, refused]);
    let told = words(&report.migrations);
    assert_eq!(told.matches("error[F407]").count(), 2, "{told}");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reasons() {
    let empty = "tests/fixtures/roundtrip/empty";
    let report = roundtrip(empty, "tests/fixtures/roundtrip/refused", &[Scope::Tenant]).await;
    assert!(!report.is_ok());
    insta::assert_snapshot!(words(report.scopes[0].proofs()), @r#"
    wanders: refused
    the up is refused:
      error[F403]: SET search_path would leave the schema that is migrated
       --> /tests/fixtures/roundtrip/refused/1-wanders.up.sql:1:1
        |
      1 | set search_path = public;
        | ^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = note: the search path is what sends a migration into one tenant's schema; changed, it would write into another
        = help: delete the statement and write names without a schema; objects of the shared schema come from the
                migrations of the shared scope
    "#);
    let json = serde_json::to_value(&report).unwrap();
    let reason = &json["scopes"][0]["migrations"][0]["findings"][0]["outcome"]["reasons"][0];
    assert!(reason.as_str().unwrap().contains("F403"), "{json:#}");
}

#[tokio::test]
async fn an_extension_lands_in_the_first_tenants_schema_unless_it_is_there_before() {
    let sets = environment(
        "tests/fixtures/roundtrip/empty",
        "tests/fixtures/roundtrip/extension",
    );
    let path = (
        "TENANTRY__MIGRATIONS__EXTRA_SEARCH_PATH",
        "extensions".to_owned(),
    );
    let settings = Settings::load(None, sets.into_iter().chain([path])).unwrap();
    let mut request = Request {
        scopes: &[Scope::Tenant],
        ..Request::new(&settings)
    };
    let report = verify(server().await, &request).await.unwrap();
    insta::assert_snapshot!(words(report.scopes[0].proofs()), @r#"
    tags: differs
    the down leaves another structure than the first up found:
      extension ltree: added
    the whole set: differs
    the down leaves another structure than the first up found:
      extension ltree: added
    a second tenant: fails
    the up of a second tenant fails:
      /tests/fixtures/roundtrip/extension/1-tags.up.sql:2:25: type "ltree" does not exist (SQLSTATE 42704)
    "#);
    request.prepare = Some("create extension ltree schema extensions");
    let report = verify(server().await, &request).await.unwrap();
    assert!(report.is_ok(), "{}", words(report.scopes[0].proofs()));
}

#[tokio::test]
async fn an_extension_that_the_shared_set_leaves_in_another_schema_is_found() {
    let (set, empty) = (
        "tests/fixtures/roundtrip/forgotten-extension",
        "tests/fixtures/roundtrip/empty",
    );
    let report = roundtrip(set, empty, &[Scope::Shared]).await;
    insta::assert_snapshot!(words(&report.scopes[0].migrations), @r#"
    paths: differs
    the down leaves another structure than the first up found:
      extension ltree: added
    "#);
    // To one tenant it is none of its business: others may have need of it.
    let report = roundtrip(empty, set, &[Scope::Tenant]).await;
    assert!(report.is_ok(), "{}", words(report.scopes[0].proofs()));
}

/// The command, on the server of the tests.
async fn command(shared: &str, tenant: &str, arguments: &[&str]) -> Output {
    let mut command = crate::support::tenantry();
    command
        .arg("verify")
        .args(arguments)
        .args(["--server", server().await.url()]);
    command.envs(environment(shared, tenant));
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_command_shows_a_line_a_migration_and_ends_with_what_it_found() {
    let sound = command("migrations", "tenant_migrations", &[]).await;
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    let text = String::from_utf8(sound.stdout).unwrap();
    assert!(text.contains("  ✓ 20260106090000 users\n"), "{text}");
    assert!(
        text.contains(
            "tenants' set: 15 migrations, 15 exact; 14 paths of several at once; 2 repeatables stay"
        ),
        "{text}"
    );

    let (shared, tenant) = (
        "tests/fixtures/roundtrip/shared",
        "tests/fixtures/roundtrip/tenant",
    );
    let junit = tempfile::NamedTempFile::new().unwrap();
    let report = format!("junit={}", junit.path().display());
    let arguments = ["--scope", "tenant", "--report", &report];
    let faulty = command(shared, tenant, &arguments).await;
    assert_eq!(faulty.status.code(), Some(1), "{faulty:?}");
    let text = String::from_utf8(faulty.stdout).unwrap();
    let found = "  ✗ 3 lost-default: differs\n      the down leaves another structure than the first up \
                 found:\n        orders.amount: default 1 → none\n";
    assert!(text.contains(found), "{text}");
    let xml = std::fs::read_to_string(junit.path()).unwrap();
    assert!(
        xml.contains("tests=\"19\" failures=\"7\" skipped=\"1\""),
        "{xml}"
    );

    let json = command(shared, tenant, &["--scope", "shared", "--output", "json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let migration = &json["scopes"][0]["migrations"][0];
    assert_eq!(
        (&migration["name"], &migration["verdict"]),
        (&"regions".into(), &"exact".into())
    );
}
