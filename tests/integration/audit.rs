//! A migration that changes what is not in its schema is seen, told, and taken back.

use sqlx::Connection;
use tenantry::{plan::Goal, postgres::Fault, sql::Ident, travel::Report};

use crate::support::{
    Small,
    fleet::{UP, go},
    small,
};

/// Two tenants at the head of a set of one migration, and a second migration for them.
async fn fleet(up: &str, down: &str) -> Small {
    let small = small(1).await;
    small.write(
        "shared/1-regions.up.sql",
        "create table regions (id bigint primary key, name text);
         create table countries (id bigint primary key)",
    );
    small.write(
        "shared/1-regions.down.sql",
        "drop table regions; drop table countries",
    );
    let small = small.reopened();
    let report = go(&small.fleet, Goal::Latest, UP).await;
    assert!(report.is_complete(), "{report:#?}");
    for tenant in ["acme", "bolt"] {
        small.add(tenant).await;
    }
    small.run("create schema elsewhere").await;
    small
        .run("create table elsewhere.items (id bigint, t text)")
        .await;
    small
        .run("create index items_by_id on elsewhere.items (id)")
        .await;
    small.run("create sequence elsewhere.numbers").await;
    small.write("tenant/2-second.up.sql", up);
    small.write("tenant/2-second.down.sql", down);
    small.reopened()
}

async fn up(small: &Small) -> Report {
    small.go(Goal::Latest).await
}

#[tokio::test]
async fn what_changes_another_schema_is_refused_and_taken_back() {
    for (text, what) in [
        ("alter table elsewhere.items add n int", "elsewhere.items"),
        ("create table elsewhere.another ()", "elsewhere.another"),
        ("insert into elsewhere.items values (1)", "elsewhere.items"),
        ("update elsewhere.items set id = 2", "elsewhere.items"),
        ("truncate elsewhere.items", "elsewhere.items"),
        (
            "drop table elsewhere.items",
            "relations that are gone now (OID ",
        ),
        (
            "drop index elsewhere.items_by_id",
            "relations that are gone now (OID ",
        ),
        ("create index on elsewhere.items (t)", "elsewhere.items"),
        ("select nextval('elsewhere.numbers')", "elsewhere.numbers"),
        ("alter table shared.regions add n int", "shared.regions"),
        ("alter table shared.regions rename to r", "shared.r"),
        (
            "alter table shared.regions set (fillfactor = 50)",
            "shared.regions",
        ),
        ("insert into shared.regions values (1)", "shared.regions"),
        ("update tenantry.heads set fence = 7", "tenantry.heads"),
        (
            "create function f() returns trigger language plpgsql as 'begin return new; end';
             create trigger t after insert on shared.regions for each row execute function f()",
            "shared.regions",
        ),
        (
            "do $$ begin execute 'alter table elsewhere.items add n int'; end $$",
            "elsewhere.items",
        ),
    ] {
        let small = fleet(&format!("create table mine (); {text}"), "drop table mine").await;
        let report = up(&small).await;
        let failures: Vec<_> = report.scopes[0].failures().collect();
        let [(_, failure), ..] = failures.as_slice() else {
            panic!("{text} was not seen: {report:#?}");
        };
        assert_eq!(failure.fault, Fault::Foreign, "{text}: {failure:?}");
        assert_eq!(failure.error.code, "TN007");
        assert!(
            failure.error.message.contains(what),
            "{text}: {}",
            failure.error.message
        );
        assert!(
            failure
                .place
                .as_ref()
                .unwrap()
                .path
                .ends_with("2-second.up.sql")
        );
        // All would do the same, so no other is begun; and nothing stays.
        for tenant in ["acme", "bolt"] {
            let head = small.pinned(tenant).await.head;
            assert_eq!(
                (head.version.map(|v| v.to_string()), head.dirty),
                (Some("1".to_owned()), None)
            );
        }
        assert_eq!(small.tables("acme").await, ["t1"], "{text}");
    }
}

#[tokio::test]
async fn what_stays_at_home_is_not() {
    for (up_text, down) in [
        // Foreign keys to the shared schema: the first one, another one, and both ways of losing one.
        (
            "create table a (region bigint references shared.regions, country bigint references shared.countries);
             insert into shared_less select 1 where false",
            "drop table a",
        ),
        (
            "create table a (region bigint); alter table a add constraint f foreign key (region) references shared.regions",
            "alter table a drop constraint f; drop table a",
        ),
        // Rewrites make and drop tables of their own.
        (
            "alter table t1 add id bigint; alter table t1 alter id type int; alter table t1 add n text default clock_timestamp()::text",
            "alter table t1 drop id; alter table t1 drop n",
        ),
        (
            "create table gone (id bigserial primary key, t text); create index on gone (t); drop table gone",
            "select 1",
        ),
        ("create view v as select r.name from shared.regions r; create materialized view m as select * from v", "drop view v cascade"),
        ("create table copy (like shared.regions including all); insert into copy select * from shared.regions", "drop table copy"),
        ("drop table t1", "create table t1 ()"),
        ("create type pair as (a int, b text); create type gone as (a int); drop type gone", "drop type pair"),
        ("select * from shared.regions for update", "select 1"),
        ("create temp table x (t text); create table y ()", "drop table y"),
    ] {
        let up_text = up_text.replace("insert into shared_less select 1 where false", "select 1");
        let small = fleet(&up_text, down).await;
        let report = up(&small).await;
        assert!(report.is_complete(), "{up_text}: {report:#?}");
        let report = small.go(Goal::Down(1)).await;
        assert!(report.is_complete(), "{down}: {report:#?}");
    }
}

#[tokio::test]
async fn a_key_made_and_lost_within_one_message_is_no_change_of_what_it_refers_to() {
    let small = fleet(
        "create table a (region bigint references shared.regions)",
        "drop table a",
    )
    .await;
    small.write("tenant/3-third.up.sql", "alter table a drop column region");
    small.write("tenant/3-third.down.sql", "alter table a add region bigint");
    small.write("tenant/4-fourth.up.sql", "create table after ()");
    small.write("tenant/4-fourth.down.sql", "drop table after");
    let small = small.reopened();
    let report = up(&small).await;
    assert!(report.is_complete(), "{report:#?}");
    // The table's own row in the catalog was changed for the key: a later step that changes more is still seen.
    small.write(
        "tenant/5-fifth.up.sql",
        "create table b (region bigint references shared.countries)",
    );
    small.write("tenant/5-fifth.down.sql", "drop table b");
    small.write(
        "tenant/6-sixth.up.sql",
        "alter table shared.countries set (fillfactor = 50)",
    );
    small.write("tenant/6-sixth.down.sql", "select 1");
    let small = small.reopened();
    let report = up(&small).await;
    let failures: Vec<_> = report.scopes[0].failures().collect();
    assert_eq!(failures[0].1.fault, Fault::Foreign);
    assert!(
        failures[0]
            .1
            .place
            .as_ref()
            .unwrap()
            .path
            .ends_with("6-sixth.up.sql")
    );
}

#[tokio::test]
async fn a_schema_that_tenants_may_change_is_named_in_the_settings() {
    let mut small = fleet(
        "insert into shared.regions values (1) on conflict do nothing;
         create table if not exists elsewhere.ours (id int primary key)",
        "drop table if exists elsewhere.ours",
    )
    .await;
    small.fleet.limits.also_writes = ["shared", "elsewhere"]
        .map(|schema| Ident::new(schema).unwrap())
        .to_vec();
    let report = up(&small).await;
    assert!(report.is_complete(), "{report:#?}");
    let mut connection = small.connect().await;
    let regions: i64 = sqlx::query_scalar("select count(*) from shared.regions")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(regions, 1);
    // What it drops there is known to belong there, though it is gone.
    let report = small.go(Goal::Down(1)).await;
    assert!(report.is_complete(), "{report:#?}");
    connection.close().await.unwrap();
}
