//! What changes the record without running scripts.

use sqlx::PgConnection;
use tenantry::{
    history::Digest,
    migration::{Scope, Version},
    plan::{Correction, Goal, Refusal},
    store::history,
    travel::{Corrected, Survey, Why, Wrong, diagnose, record, stored_texts},
};

use crate::support::{Small, small};

const fn version(number: u64) -> Version {
    Version::new(number)
}

async fn say(small: &Small, correction: Correction) -> Corrected {
    record(
        &small.fleet,
        Scope::Tenant,
        &small.standings().await,
        correction,
    )
    .await
    .unwrap()
}

/// `version state how`, oldest first.
async fn log(small: &Small, tenant: &str) -> Vec<String> {
    let entries = small.log(tenant).await;
    let line = |e: &tenantry::store::history::Entry| format!("{} {} {}", e.version, e.state, e.how);
    entries.iter().map(line).collect()
}

/// Takes the lock that everybody at work on the schema takes, for as long as the session lives.
async fn occupy(small: &Small, tenant: &str) -> PgConnection {
    let mut session = small.connect().await;
    sqlx::query("select pg_advisory_lock((1953395321::bigint << 32) | $1)")
        .bind(i64::from(small.pinned(tenant).await.head.schema_oid))
        .execute(&mut session)
        .await
        .unwrap();
    session
}

#[tokio::test]
async fn a_baseline_leaves_the_rest_to_up_and_can_be_taken_back() {
    let small = small(3).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
        small
            .run(&format!(
                "create table {tenant}.t1 (); create table {tenant}.t2 ()"
            ))
            .await;
    }
    let baseline = Correction::Baseline(version(2));
    let corrected = say(&small, baseline).await;
    assert_eq!(corrected.moved.len(), 2, "{corrected:?}");
    assert!(corrected.is_complete());
    assert_eq!(
        log(&small, "acme").await,
        ["1 applied baseline", "2 applied baseline"]
    );
    assert!(!small.log("acme").await[0].who.is_empty());

    let up = small.go(Goal::Latest).await;
    assert_eq!(up.scopes[0].migrations(), 2, "{up:#?}");
    assert_eq!(small.tables("acme").await, ["t1", "t2", "t3"]);
    let down = small.go(Goal::Empty).await;
    assert!(down.is_complete(), "{down:#?}");
    assert_eq!(small.tables("bolt").await, [""; 0]);
}

#[tokio::test]
async fn a_baseline_is_refused_where_there_is_a_history_and_harmless_where_it_is_the_same() {
    let small = small(2).await;
    small.add("acme").await;
    small.import("bolt").await;
    let refused = say(&small, Correction::Baseline(version(1))).await;
    let why = Refusal::HasHistory { head: version(2) };
    assert_eq!(refused.refusals, [(why, 1)]);
    assert_eq!(small.pinned("bolt").await.head.version, None);
    let same = say(&small, Correction::Baseline(version(2))).await;
    assert_eq!((same.moved.len(), same.current), (1, 1), "{same:?}");
}

#[tokio::test]
async fn force_goes_forward_and_back_and_up_runs_what_is_left() {
    let small = small(3).await;
    small.add("acme").await;
    let revision = small.pinned("acme").await.head.revision;
    let back = say(&small, Correction::Force(Some(version(1)))).await;
    assert_eq!(back.moved.len(), 1, "{back:?}");
    let head = small.pinned("acme").await.head;
    assert_eq!(head.version, Some(version(1)));
    assert!(head.revision > revision);
    assert_eq!(
        log(&small, "acme").await[3..],
        ["3 reverted force", "2 reverted force"]
    );
    // The tables are there still: force said otherwise, and up believes it.
    assert!(!small.go(Goal::Latest).await.is_complete());
    say(&small, Correction::Force(Some(version(3)))).await;
    assert_eq!(small.go(Goal::Latest).await.scopes[0].current, 1);
    say(&small, Correction::Force(None)).await;
    small.run("drop table acme.t1, acme.t2, acme.t3").await;
    assert!(small.go(Goal::Latest).await.is_complete());
    assert_eq!(small.tables("acme").await, ["t1", "t2", "t3"]);
}

#[tokio::test]
async fn dirty_schemas_are_left_alone_until_somebody_says_how_they_are() {
    let small = small(2).await;
    for tenant in ["acme", "bolt", "coil"] {
        small.import(tenant).await;
    }
    small
        .run("update tenantry.heads set dirty_version = '1' where schema_name <> 'coil'")
        .await;
    let baseline = say(&small, Correction::Baseline(version(1))).await;
    assert_eq!(baseline.moved.len(), 1, "{baseline:?}");
    assert_eq!(baseline.blocked.len(), 2);
    assert_eq!(baseline.blocked[0].why, Why::Dirty(version(1), None));
    assert_eq!(small.pinned("acme").await.head.dirty, Some(version(1)));

    let standings = small.standings().await;
    let (fleet, tenant) = (&small.fleet, Scope::Tenant);
    let force = Correction::Force(Some(version(1)));
    let forced = record(fleet, tenant, &standings[..1], force).await.unwrap();
    let cleared = record(fleet, tenant, &standings[1..2], Correction::Clear)
        .await
        .unwrap();
    assert_eq!((forced.moved.len(), cleared.moved.len()), (1, 1));
    assert_eq!(log(&small, "acme").await, ["1 applied force"]);
    assert_eq!(log(&small, "bolt").await, ["1 reverted repair"]);
    let heads = [small.pinned("acme").await, small.pinned("bolt").await];
    assert!(heads.iter().all(|pinned| pinned.head.dirty.is_none()));
    assert_eq!(heads[0].head.version, Some(version(1)));
    assert_eq!(heads[1].head.version, None);
    assert!(small.go(Goal::Latest).await.is_complete());
    assert_eq!(small.tables("bolt").await, ["t1", "t2"]);
}

#[tokio::test]
async fn a_changed_file_is_accepted_and_the_old_text_shown() {
    let small = small(2).await;
    small.add("acme").await;
    let now = "create table t1 (); -- a remark";
    small.write("tenant/1-t1.up.sql", now);
    small.write("tenant/3-t3.up.sql", "create table t3 ();");
    small.write("tenant/3-t3.down.sql", "drop table t3;");
    let small = small.reopened();
    assert!(!small.go(Goal::Latest).await.is_complete());

    let survey = Survey::take(&small.fleet).await.unwrap();
    let findings = diagnose(&small.fleet, &survey).await.unwrap();
    let kinds: Vec<_> = findings.iter().map(|f| f.wrong.kind()).collect();
    assert_eq!(kinds, ["changed"]);
    assert!(findings[0].wrong.remedy().contains("--accept-checksum 1"));
    let texts = stored_texts(&small.fleet, &survey, version(1))
        .await
        .unwrap();
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].up.as_deref(), Some("create table t1 ();"));
    assert_eq!(texts[0].down.as_deref(), Some("drop table t1;"));

    let accepted = say(&small, Correction::Accept(version(1))).await;
    assert_eq!(accepted.moved.len(), 1, "{accepted:?}");
    assert_eq!(log(&small, "acme").await[2..], ["1 applied repair"]);
    let up = small.go(Goal::Latest).await;
    assert_eq!((up.is_complete(), up.scopes[0].migrations()), (true, 1));
    let survey = Survey::take(&small.fleet).await.unwrap();
    let texts = stored_texts(&small.fleet, &survey, version(1))
        .await
        .unwrap();
    assert_eq!(texts[0].up.as_deref(), Some(now));
    assert!(diagnose(&small.fleet, &survey).await.unwrap().is_empty());
    assert!(small.go(Goal::Empty).await.is_complete());
}

#[tokio::test]
async fn schemas_at_which_somebody_is_at_work_are_reported_busy() {
    let small = small(2).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    let session = occupy(&small, "acme").await;
    let baseline = Correction::Baseline(version(2));
    let corrected = say(&small, baseline).await;
    assert_eq!((corrected.moved.len(), corrected.busy.len()), (1, 1));
    assert!(corrected.is_only_busy(), "{corrected:?}");
    assert_eq!(small.pinned("acme").await.head.version, None);
    drop(session);
    // The server needs a moment to notice: patience sees to that.
    let mut small = small;
    small.fleet.limits.busy_wait = std::time::Duration::from_secs(30);
    let corrected = say(&small, baseline).await;
    assert_eq!((corrected.moved.len(), corrected.current), (1, 1));
}

#[tokio::test]
async fn only_the_chosen_schemas_are_touched_and_a_thousand_are_few_statements() {
    let small = small(1).await;
    small.import("acme").await;
    small
        .run(
            "do $$ begin for i in 1..1000 loop execute format('create schema s%s', i); end loop; end $$;
             insert into tenantry.heads (schema_oid, schema_name)
             select oid, nspname from pg_namespace where nspname ~ '^s[0-9]+$';
             insert into tenantry.tenants (name, shard, state)
             select nspname, 'main', 'active' from pg_namespace where nspname ~ '^s[0-9]+$'",
        )
        .await;
    let standings = small.standings().await;
    let chosen = standings
        .iter()
        .filter(|s| s.target.schema.as_str() != "acme");
    let baseline = Correction::Baseline(version(1));
    let corrected = record(&small.fleet, Scope::Tenant, chosen, baseline)
        .await
        .unwrap();
    assert_eq!(corrected.moved.len(), 1000);
    assert_eq!(small.pinned("acme").await.head.version, None);
    let statements: i64 =
        sqlx::query_scalar("select count(distinct xmin::text) from tenantry.history")
            .fetch_one(&mut small.connect().await)
            .await
            .unwrap();
    assert_eq!(statements, 5);
}

#[tokio::test]
async fn rows_of_a_dropped_schema_are_nobody_elses_history() {
    let small = small(2).await;
    small.add("acme").await;
    small.import("bolt").await;
    // The server has given the OID of a schema that is no more to another one.
    small
        .run(
            "update tenantry.history set schema_oid = 'bolt'::regnamespace;
             delete from tenantry.heads where schema_name = 'acme';
             delete from tenantry.tenants where name = 'acme'",
        )
        .await;
    assert_eq!(log(&small, "bolt").await, [""; 0]);
    small.go(Goal::UpTo(version(1))).await;
    let down = small.go(Goal::Empty).await;
    assert_eq!(
        (down.is_complete(), down.scopes[0].migrations()),
        (true, 1),
        "{down:#?}"
    );
}

#[tokio::test]
async fn the_look_names_everything_that_is_wrong() {
    let small = small(2).await;
    for tenant in ["dirty", "gone", "left", "missing", "renamed", "stray"] {
        small.add(tenant).await;
    }
    small
        .run(
            "update tenantry.heads set dirty_version = '2' where schema_name = 'dirty';
             drop schema gone cascade;
             alter schema renamed rename to another;
             delete from tenantry.tenants where name = 'stray';
             insert into tenantry.tenants (name, shard, state) values ('half', 'main', 'provisioning')",
        )
        .await;
    small.remove("tenant/2-t2.up.sql");
    small.remove("tenant/2-t2.down.sql");
    let small = small.reopened();
    let survey = Survey::take(&small.fleet).await.unwrap();
    let findings = diagnose(&small.fleet, &survey).await.unwrap();
    let mut found: Vec<_> = findings
        .iter()
        .map(|f| (f.wrong.kind(), f.targets.len()))
        .collect();
    found.sort_unstable();
    let expected = [
        ("dirty", 1),
        ("gone", 1),
        ("missing", 3),
        ("renamed", 1),
        ("stray", 1),
        ("unfinished", 1),
    ];
    assert_eq!(found, expected);
    assert!(findings.iter().all(|f| !f.wrong.remedy().is_empty()));
    assert!(findings.iter().any(|f| f.wrong == Wrong::Stray));
}

#[tokio::test]
async fn a_history_is_read_as_of_the_head_that_was_seen() {
    let small = small(2).await;
    small.import("acme").await;
    let mut seen = vec![small.pinned("acme").await.head];
    for goal in [Goal::Up(1), Goal::Latest, Goal::Down(1), Goal::Empty] {
        assert!(small.go(goal).await.is_complete());
        seen.push(small.pinned("acme").await.head);
    }
    // Others have moved it on since; it is told from what it was all the same.
    for head in seen {
        let applied = history::applied(&mut small.connect().await.into(), &head)
            .await
            .unwrap();
        assert_eq!(Digest::of(&applied), head.digest, "{head:?}");
    }
}
