//! Tenants labelled, suspended, renamed and retired, one or many at a time.

use insta::assert_snapshot;
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tenantry::{
    plan::Goal,
    provision::{self, ProvisionError},
    store::{history, tenants},
    tenant::{TenantName, TenantState},
};

use crate::support::{Small, small, until};

fn name(text: &str) -> TenantName {
    TenantName::new(text).unwrap()
}

/// A fleet of these tenants at version 1, with a second migration pending.
async fn behind(tenants: &[&str]) -> Small {
    let small = small(1).await;
    for tenant in tenants {
        small.add(tenant).await;
    }
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    small.reopened()
}

fn run(small: &Small, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    let output = small.tenantry(&arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8(output.stderr).unwrap()
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(json: &Value) -> Vec<&str> {
    let tenants = json["tenants"].as_array().unwrap();
    tenants
        .iter()
        .map(|tenant| tenant["name"].as_str().unwrap())
        .collect()
}

async fn state(small: &Small, tenant: &str) -> Option<TenantState> {
    let mut home = small.fleet.home().await.unwrap();
    let tenant = tenants::get(home.connection(), &name(tenant)).await;
    tenant.unwrap().map(|tenant| tenant.state)
}

#[tokio::test]
async fn every_selector_finds_its_tenants_for_the_commands_of_the_registry() {
    let small = behind(&["acme", "aero", "bolt", "coil"]).await;
    small.write("some.txt", "acme\ncoil\n");
    run(&small, &["tenant", "label", "a*", "tier=free"]);
    run(&small, &["up", "bolt"]);
    for (selector, expected) in [
        ("acme", vec!["acme"]),
        ("a*", vec!["acme", "aero"]),
        ("label:tier=free", vec!["acme", "aero"]),
        ("shard:main", vec!["acme", "aero", "bolt", "coil"]),
        ("version<2", vec!["acme", "aero", "coil"]),
        ("version>=2", vec!["bolt"]),
        ("file:some.txt", vec!["acme", "coil"]),
        ("percent:100", vec!["acme", "aero", "bolt", "coil"]),
        ("!acme", vec!["aero", "bolt", "coil"]),
        ("label:tier=free,bolt,!aero", vec!["acme", "bolt"]),
        ("\"acme\",coil", vec!["acme", "coil"]),
    ] {
        for command in [
            &["tenant", "list", selector][..],
            &["tenant", "label", selector, "seen=yes"],
            &["tenant", "suspend", selector],
            &["tenant", "resume", selector],
        ] {
            let json = run(&small, command);
            assert_eq!(names(&json), expected, "{command:?}");
        }
    }
    let json = run(
        &small,
        &["tenant", "retire", "label:tier=free,!aero", "--yes"],
    );
    assert_eq!(names(&json), ["acme"]);
    assert_eq!(
        names(&run(&small, &["tenant", "list"])),
        ["aero", "bolt", "coil"]
    );
    let unknown = small
        .tenantry(&["tenant", "retire", "aero,blot", "--yes"])
        .assert();
    unknown.code(2).stderr(contains("is it bolt?"));
}

#[tokio::test]
async fn labels_are_set_and_taken_away() {
    let small = behind(&["acme", "bolt"]).await;
    assert_snapshot!(
        "label",
        small.json(&["tenant", "label", "acme,bolt", "tier=free", "eu="])
    );
    assert_snapshot!(
        "label_text",
        small.text(&["tenant", "label", "acme", "tier=paid", "eu-"])
    );
    let json = run(&small, &["tenant", "list", "label:tier=paid"]);
    assert_eq!(names(&json), ["acme"]);
    let twice = small
        .tenantry(&["tenant", "label", "acme", "a=1", "a-"])
        .assert();
    twice.code(2).stderr(contains("named twice"));
    let wrong = small
        .tenantry(&["tenant", "label", "acme", "tier"])
        .assert();
    wrong.code(2).stderr(contains("KEY=VALUE"));
}

#[tokio::test]
async fn a_suspended_tenant_stays_where_it_is_until_it_is_resumed() {
    let small = behind(&["acme", "bolt"]).await;
    let before = small.pinned("acme").await.head;
    assert_snapshot!("suspend", small.json(&["tenant", "suspend", "acme"]));
    assert_eq!(state(&small, "acme").await, Some(TenantState::Suspended));
    // Whoever has planned for it before is refused.
    assert!(small.pinned("acme").await.head.fence > before.fence);
    let up = small.tenantry(&["up"]).assert();
    up.success()
        .stderr(contains("1 tenant is suspended and stays where it is"));
    let up = run(&small, &["up"]);
    assert_eq!(up["suspended"], 1);
    assert_eq!(small.tables("acme").await, ["t1"]);
    assert_eq!(small.tables("bolt").await, ["t1", "t2"]);
    let resumed = small.tenantry(&["tenant", "resume", "acme"]).assert();
    resumed
        .success()
        .stdout("tenant acme is moved with the fleet again\n")
        .stderr(contains(
            "it is behind: `tenantry up acme` applies what is pending",
        ));
    run(&small, &["up", "acme"]);
    assert_eq!(small.tables("acme").await, ["t1", "t2"]);
    let again = small.tenantry(&["tenant", "resume", "a*,bolt"]).assert();
    again.success().stderr(contains("behind").not());
}

#[tokio::test]
async fn whoever_is_at_work_on_a_tenant_is_waited_for_before_it_is_suspended() {
    let mut small = behind(&["acme"]).await;
    small.fleet.limits.busy_wait = std::time::Duration::from_secs(20);
    let head = small.pinned("acme").await.head;
    let mut worker = small.connect().await;
    sqlx::raw_sql("begin").execute(&mut worker).await.unwrap();
    sqlx::query("call tenantry.enter($1::bigint::oid, 'acme', $2, $3)")
        .bind(i64::from(head.schema_oid))
        .bind(head.revision)
        .bind(head.fence)
        .execute(&mut worker)
        .await
        .unwrap();
    let tenant = small.standings().await.remove(0).tenant.unwrap();
    let suspending = provision::suspend(&small.fleet, &tenant);
    let ending = async {
        until("the registry says so", async || {
            state(&small, "acme").await == Some(TenantState::Suspended)
        })
        .await;
        let unmoved = small.pinned("acme").await.head.fence;
        sqlx::raw_sql("commit").execute(&mut worker).await.unwrap();
        unmoved
    };
    let (suspended, unmoved) = tokio::join!(suspending, ending);
    suspended.unwrap();
    assert_eq!(unmoved, head.fence);
    assert_eq!(small.pinned("acme").await.head.fence, head.fence + 1);
}

#[tokio::test]
async fn a_renamed_tenant_keeps_its_data_its_history_and_its_labels() {
    let small = behind(&["acme", "bolt"]).await;
    run(&small, &["tenant", "label", "acme", "tier=free"]);
    let before = small.pinned("acme").await.head;
    let weird = r#"we"ird; drop schema public cascade--"#;
    assert_snapshot!("rename", small.json(&["tenant", "rename", "acme", weird]));
    let head = small.pinned(weird).await;
    assert!(head.is_intact() && head.head.fence > before.fence);
    assert_eq!(small.log(weird).await.len(), 1);
    assert_eq!(small.tables(weird).await, ["t1"]);
    assert_eq!(
        names(&run(&small, &["tenant", "list", "label:tier=free"])),
        [weird]
    );
    run(&small, &["up"]);
    assert_eq!(small.tables(weird).await, ["t1", "t2"]);
    assert!(small.go(Goal::Empty).await.is_complete());
    let back = small
        .tenantry(&["tenant", "rename", weird, "acme"])
        .assert();
    back.success()
        .stdout(contains("is acme now"))
        .stderr(contains("bodies of functions"));
    for (new, code, why) in [
        ("bolt", 1, "registered already"),
        ("shared", 2, ""),
        ("public", 2, ""),
        ("tenantry", 2, ""),
        ("", 2, ""),
    ] {
        let refused = small.tenantry(&["tenant", "rename", "acme", new]).assert();
        refused.code(code).stderr(contains(why));
    }
    small.run("create schema theirs").await;
    let refused = small
        .tenantry(&["tenant", "rename", "acme", "theirs"])
        .assert();
    refused.code(1).stderr(contains("the schema theirs exists"));
    let nobody = small
        .tenantry(&["tenant", "rename", "nobody", "new"])
        .assert();
    nobody.code(2).stderr(contains("no tenant nobody"));
    assert_eq!(state(&small, "acme").await, Some(TenantState::Active));
}

#[tokio::test]
async fn a_rename_that_was_cut_off_is_finished_by_the_same_again() {
    let small = behind(&["acme", "bolt"]).await;
    run(&small, &["tenant", "suspend", "bolt"]);
    // Cut off before the shard was told, and after it.
    for (tenant, new, state_) in [
        ("acme", "new_acme", TenantState::Active),
        ("bolt", "new_bolt", TenantState::Suspended),
    ] {
        let mut home = small.fleet.home().await.unwrap();
        let begun =
            tenants::begin_rename(home.connection(), &name(tenant), state_, &name(new)).await;
        assert!(begun.unwrap());
    }
    small
        .run(
            "alter schema bolt rename to new_bolt;
             update tenantry.heads set schema_name = 'new_bolt' where schema_name = 'bolt';
             update tenantry.history set schema_name = 'new_bolt' where schema_name = 'bolt'",
        )
        .await;
    // Nobody moves them meanwhile, takes the name, or renames them to something else.
    run(&small, &["up"]);
    assert_eq!(small.tables("acme").await, ["t1"]);
    let add = small.tenantry(&["tenant", "add", "new_acme"]).assert();
    add.code(1).stderr(contains("registered already"));
    let other = small
        .tenantry(&["tenant", "rename", "acme", "other"])
        .assert();
    other
        .code(1)
        .stderr(contains("tenantry tenant rename acme new_acme"));
    let retire = small
        .tenantry(&["tenant", "retire", "acme", "--yes"])
        .assert();
    retire.code(1).stderr(contains("acme is renaming"));
    let repair = small.tenantry(&["repair"]).assert();
    repair.stdout(contains("tenantry tenant rename TENANT NEW"));
    let show = small.tenantry(&["tenant", "show", "bolt"]).assert();
    show.success().stdout(contains(
        "`tenantry tenant rename bolt new_bolt` finishes that",
    ));
    for (old, new, state_) in [
        ("acme", "new_acme", TenantState::Active),
        ("bolt", "new_bolt", TenantState::Suspended),
    ] {
        run(&small, &["tenant", "rename", old, new]);
        assert_eq!(state(&small, old).await, None);
        assert_eq!(state(&small, new).await, Some(state_));
        let head = small.pinned(new).await.head;
        let applied = history::applied(&mut small.connect().await.into(), &head)
            .await
            .unwrap();
        assert_eq!(applied.len(), 1);
    }
}

#[tokio::test]
async fn a_rename_that_was_begun_is_cancelled_while_the_schema_has_its_old_name() {
    let small = behind(&["acme"]).await;
    let mut home = small.fleet.home().await.unwrap();
    let (acme, new) = (name("acme"), name("new"));
    let active = TenantState::Active;
    let begin = tenants::begin_rename(home.connection(), &acme, active, &new);
    assert!(begin.await.unwrap());
    let cancel = small
        .tenantry(&["tenant", "rename", "acme", "acme"])
        .assert();
    cancel.success().stdout(contains("acme keeps its name"));
    assert_eq!(state(&small, "acme").await, Some(TenantState::Active));
    // Nobody has begun it any more.
    let again = provision::rename(&small.fleet, &acme, &acme).await;
    assert!(matches!(again, Err(ProvisionError::Taken(_))), "{again:?}");

    let begin = tenants::begin_rename(home.connection(), &acme, active, &new);
    assert!(begin.await.unwrap());
    small
        .run(
            "alter schema acme rename to new;
             update tenantry.heads set schema_name = 'new'; update tenantry.history set schema_name = 'new'",
        )
        .await;
    let error = provision::rename(&small.fleet, &acme, &acme).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("tenantry tenant rename acme new"), "{error}");
}

#[tokio::test]
async fn what_the_server_refuses_to_rename_keeps_its_name() {
    let small = behind(&["acme"]).await;
    small
        .run(
            "create function public.no() returns event_trigger language plpgsql as $$ begin raise exception 'not today'; end $$;
             create event trigger no on ddl_command_start when tag in ('ALTER SCHEMA') execute function public.no()",
        )
        .await;
    let error = provision::rename(&small.fleet, &name("acme"), &name("new"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
    assert_eq!(state(&small, "acme").await, Some(TenantState::Active));
    small.run("drop event trigger no").await;
    provision::rename(&small.fleet, &name("acme"), &name("new"))
        .await
        .unwrap();
    assert!(small.pinned("new").await.is_intact());
}

#[tokio::test]
async fn of_many_tenants_those_that_fail_are_told_and_the_others_go() {
    let small = behind(&["acme", "bolt", "coil"]).await;
    small
        .run("create schema other; create view other.v as select 1 from bolt.t1")
        .await;
    let refused = small.tenantry(&["tenant", "retire", "*"]).assert();
    refused.code(2).stderr(
        contains("the schemas of 3 tenants, with all the data in them: acme, bolt, coil")
            .and(contains("--yes")),
    );
    assert_snapshot!(
        "retire_many_text",
        small.text(&["tenant", "retire", "acme,bolt", "--yes"])
    );
    assert_snapshot!(
        "retire_many",
        small.json(&["tenant", "retire", "*", "--yes"])
    );
    let error = provision::retire(&small.fleet, &name("bolt"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProvisionError::Needed { .. }), "{error}");
}
