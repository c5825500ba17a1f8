//! Up, down and up again: sound sets are exact, faulty ones are caught, in words that name what is wrong.

use std::path::PathBuf;

use tenantry::{
    config::Settings,
    migration::Scope,
    verify::{Proof, Report, Request, Verdict, verify},
};

use crate::support::server;

const BOTH: &[Scope] = &[Scope::Shared, Scope::Tenant];

/// Settings with these directories of the project as sets, and no database.
fn settings(shared: &str, tenant: &str) -> Settings {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let directory = |name: &str| root.join(name).display().to_string();
    let environment = [
        ("TENANTRY__MIGRATIONS__SHARED", directory(shared)),
        ("TENANTRY__MIGRATIONS__TENANT", directory(tenant)),
    ];
    Settings::load(None, environment).unwrap()
}

async fn roundtrip(shared: &str, tenant: &str, scopes: &[Scope]) -> Report {
    let request = Request {
        settings: &settings(shared, tenant),
        scopes,
        prepare: None,
        observe: &|_, _| {},
    };
    verify(server().await, &request).await.unwrap()
}

/// A line a proof with its verdict, and what was found below it.
fn words<'a>(proofs: impl IntoIterator<Item = &'a Proof>) -> String {
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
      <history>/6-down-with-slip.down.sql:1:1: column "latest_seen" of relation "orders" does not exist (SQLSTATE 42703)
    column-moves: differs
    the down leaves another structure than the first up found:
      orders: column order id, amount, region, note, last_seen → id, amount, note, last_seen, region
    asks-all-schemas: exact
    the whole set: fails
    the down fails:
      <history>/6-down-with-slip.down.sql:1:1: column "latest_seen" of relation "orders" does not exist (SQLSTATE 42703)
    a second tenant: differs
    the up of a second tenant leaves another structure than the first up left:
      orders.channel: missing
    "#);
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
