//! The commands of the registry, as programs and people see them.

use insta::{assert_snapshot, with_settings};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};

use crate::support::small;

const WEIRD: &str = r#"we"ird; drop schema public cascade--"#;

/// Leaves out what differs from run to run.
macro_rules! assert_json {
    ($name:literal, $json:expr) => {
        with_settings!({filters => vec![
            (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]"),
            (r#""elapsed_ms": \d+"#, r#""elapsed_ms": "[ms]""#),
            (r"[\w.-]+@[\w.-]+", "[user]@[host]"),
        ]}, { assert_snapshot!($name, $json) })
    };
}
pub(crate) use assert_json;

#[tokio::test]
async fn a_tenant_from_beginning_to_end() {
    let mut small = small(2).await;
    let add = [
        "tenant",
        "add",
        "acme",
        "--label",
        "tier=free",
        "--label",
        "eu=yes",
    ];
    assert_json!("tenant_add", small.json(&add));
    small.tenantry(&["tenant", "add", WEIRD]).assert().success();
    small.write("tenant/3-t3.up.sql", "create table t3 ();");
    small.write("tenant/3-t3.down.sql", "drop table t3;");
    small = small.reopened();
    assert_json!("tenant_list", small.json(&["tenant", "list"]));
    assert_json!("tenant_show", small.json(&["tenant", "show", "acme"]));
    assert_json!(
        "tenant_retire",
        small.json(&["tenant", "retire", WEIRD, "--yes"])
    );
    assert_json!("tenant_list_text", small.text(&["tenant", "list"]));
    assert_json!("tenant_show_text", small.text(&["tenant", "show", "acme"]));
    let newest = small.text(&["tenant", "show", "acme", "--history", "1"]);
    assert!(newest.ends_with("1 older one: --history 2\n"), "{newest}");
    let list = small
        .tenantry(&["tenant", "list", "label:tier=free"])
        .assert();
    list.success().stdout(
        contains("acme")
            .and(contains("eu=yes tier=free"))
            .and(contains("weird").not()),
    );
    let show = small.tenantry(&["tenant", "show", "acme"]).assert();
    show.success()
        .stdout(contains("at 2, 1 pending").and(contains("pending: 3 t3")));
}

#[tokio::test]
async fn retiring_needs_a_yes_where_nobody_can_be_asked() {
    let small = small(1).await;
    small.add("acme").await;
    let refused = small.tenantry(&["tenant", "retire", "acme"]).assert();
    refused.code(2).stderr(contains("--yes"));
    assert_eq!(small.tables("acme").await, ["t1"]);
}

#[tokio::test]
async fn a_schema_of_before_is_imported_and_a_slip_is_told() {
    let small = small(1).await;
    small
        .run("create schema acme; create table acme.t1 ()")
        .await;
    let taken = small.tenantry(&["tenant", "add", "acme"]).assert();
    taken
        .code(1)
        .stderr(contains("tenantry tenant import acme"));
    assert_json!("tenant_import", small.json(&["tenant", "import", "acme"]));
    for (arguments, code) in [
        (["tenant", "import", "nobody"], 1),
        (["tenant", "show", "nobody"], 2),
        (["tenant", "add", "public"], 2),
        (["tenant", "add", "shared"], 2),
    ] {
        small.tenantry(&arguments).assert().code(code);
    }
    let nowhere = small
        .tenantry(&["tenant", "add", "bolt", "--shard", "eu9"])
        .assert();
    nowhere.code(2).stderr(contains("there are: main"));
}
