//! Several tenants in one transaction: what they gain, and that one of them harms no other.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tenantry::{
    apply::{Audit, Carrier, Cut, Group, Together, compile},
    config::Portion,
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    postgres::Fault,
    sql::Ident,
    store::scripts,
    travel::{Cohorts, Observer, Request, Run, travel},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Database, database,
    fleet::{UP, all_to, empty_tenants, go, with_sets},
    proxy::Proxy,
    small,
};

/// A set of one tenant migration, `up`.
fn set(up: &str) -> tempfile::TempDir {
    let files = tempfile::tempdir().unwrap();
    for scope in ["shared", "tenant"] {
        fs::create_dir(files.path().join(scope)).unwrap();
    }
    add(&files, 1, up);
    files
}

fn add(files: &tempfile::TempDir, version: u32, up: &str) {
    let file = files.path().join(format!("tenant/{version}-items.up.sql"));
    fs::write(file, format!("-- tenantry: irreversible\n{up}")).unwrap();
}

fn fleet(url: &str, files: &tempfile::TempDir) -> Fleet {
    with_sets(
        url,
        &files.path().join("shared"),
        &files.path().join("tenant"),
    )
}

async fn count(database: &Database, query: &'static str) -> i64 {
    let mut connection = database.connect().await;
    let count = sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test]
async fn a_light_plan_is_a_few_messages_for_many_tenants() {
    const TENANTS: usize = 300;
    let (database, files) = (database().await, set("create table items (id bigint)"));
    empty_tenants(&database, &fleet(&database.url, &files), TENANTS).await;
    let proxy = Proxy::start(&database.url).await;
    let report = go(
        &fleet(&proxy.url_for(&database.url), &files),
        Goal::Latest,
        UP,
    )
    .await;
    assert_eq!(report.scopes[1].done(), TENANTS, "{report:#?}");
    let messages = proxy.traffic().messages;
    let simple = messages.iter().filter(|message| **message == b'Q').count();
    assert!(simple < TENANTS / 2, "{simple} messages");
    let recorded =
        "select count(*) from tenantry.heads h join tenantry.history e using (schema_oid, revision)
                     where h.version = '1' and e.version = '1' and e.statements_done = 1";
    assert_eq!(count(&database, recorded).await, 300);
    let tables = "select count(*) from pg_class where relname = 'items'";
    assert_eq!(count(&database, tables).await, 300);
}

/// A fleet of empty tenants for a set of one migration.
async fn tenants(up: &str, count: usize) -> (Database, tempfile::TempDir) {
    let (database, files) = (database().await, set(up));
    empty_tenants(&database, &fleet(&database.url, &files), count).await;
    (database, files)
}

/// Forty tenants with a light migration pending, and an application that holds the table of the one called `tenant_17`.
async fn one_is_locked() -> (Database, tempfile::TempDir, PgConnection) {
    let (database, files) = tenants("create table items (id bigint)", 40).await;
    go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    add(&files, 2, "alter table items add column name text");
    let mut application = database.connect().await;
    sqlx::raw_sql("begin; lock table tenant_17.items in access share mode")
        .execute(&mut application)
        .await
        .unwrap();
    (database, files, application)
}

const AT_HEAD: &str = "select count(*) from tenantry.heads where version is not null";

#[tokio::test]
async fn a_locked_tenant_is_carried_alone_and_holds_up_no_other() {
    let (database, files, _application) = one_is_locked().await;
    let mut fleet = fleet(&database.url, &files);
    fleet.limits.lock_timeout = Duration::from_millis(20);
    fleet.limits.lock_tries = 2;
    let request = Request {
        goal: Goal::Latest,
        scopes: UP,
        select: &|_| true,
        max_failures: Portion::Count(1),
    };
    let report = travel(&fleet, &request, &CancellationToken::new(), &())
        .await
        .unwrap();
    let tenants = &report.scopes[1];
    assert_eq!(tenants.done(), 39, "{report:#?}");
    let failed: Vec<_> = tenants.failures().collect();
    assert_eq!(failed[0].0.schema.as_str(), "tenant_17");
    // Its own message, not that of a group.
    let failure = failed[0].1;
    assert_eq!(failure.error.code, "55P03");
    assert_eq!(failure.tries, 2);
    assert_eq!(failure.place.as_ref().unwrap().position.to_string(), "2:1");
}

/// Told of each run; says when so many have ended.
struct Ends(AtomicUsize, Notify);

impl Observer for Ends {
    fn ended(&self, _: Scope, _: &Run) {
        if self.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.1.notify_one();
        }
    }
}

#[tokio::test]
async fn whoever_is_locked_comes_after_all_others() {
    let (database, files, mut application) = one_is_locked().await;
    let mut fleet = fleet(&database.url, &files);
    fleet.limits.lock_tries = 10;
    let request = all_to(Goal::Latest, &[Scope::Tenant]);
    let others = Ends(AtomicUsize::new(39), Notify::new());
    // The application goes on until all others are done: whoever waited behind the locked one would wait for ever.
    let free = async {
        others.1.notified().await;
        sqlx::raw_sql("rollback")
            .execute(&mut application)
            .await
            .unwrap();
    };
    let stop = CancellationToken::new();
    let (report, ()) = tokio::join!(travel(&fleet, &request, &stop, &others), free);
    assert_eq!(report.unwrap().scopes[0].done(), 40);
}

#[tokio::test]
async fn a_tenant_at_which_somebody_is_at_work_drops_out() {
    let (database, files) = tenants("create table items (id bigint)", 40).await;
    let mut other = database.connect().await;
    sqlx::raw_sql(
        "begin; select pg_advisory_xact_lock((1953395321::bigint << 32) | 'tenant_5'::regnamespace::oid::bigint)",
    )
    .execute(&mut other)
    .await
    .unwrap();
    let mut fleet = fleet(&database.url, &files);
    fleet.limits.busy_wait = Duration::from_millis(1);
    let report = go(&fleet, Goal::Latest, UP).await;
    let tenants = &report.scopes[1];
    assert_eq!(tenants.done(), 39, "{report:#?}");
    let failed: Vec<_> = tenants.failures().collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].0.schema.as_str(), "tenant_5");
    assert_eq!(failed[0].1.fault, Fault::Busy);
}

#[tokio::test]
async fn one_that_does_not_take_it_leaves_the_others_of_its_group_alone() {
    let (database, files) = tenants("create table items (id bigint)", 40).await;
    go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    let mut connection = database.connect().await;
    sqlx::raw_sql("create view tenant_23.names as select 1 as id")
        .execute(&mut connection)
        .await
        .unwrap();
    add(&files, 2, "create table names (id bigint)");
    add(&files, 3, "insert into names select id from items");
    let report = go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    let tenants = &report.scopes[1];
    let failed: Vec<_> = tenants.failures().collect();
    assert_eq!(failed.len(), 1, "{report:#?}");
    assert_eq!(failed[0].0.schema.as_str(), "tenant_23");
    assert_eq!(failed[0].1.error.code, "42P07");
    // The failure budget of this run allows none, so some may not have been begun; whoever was is at the head.
    let wrong = "select count(*) from tenantry.heads h
                  where (h.version = '3') <> exists (select from pg_class c
                         where c.relnamespace = h.schema_oid and c.relname = 'names' and c.relkind = 'r')
                     or h.revision <> (select count(*) from tenantry.history e where e.schema_oid = h.schema_oid)";
    assert_eq!(count(&database, wrong).await, 0);
}

#[tokio::test]
async fn what_a_function_sets_does_not_reach_the_next_of_its_group() {
    let (database, files) = tenants(
        "create table items (id bigint);
         create function who() returns text language plpgsql as $$
         declare was text := current_setting('app.who', true) || current_setting('lock_timeout');
         begin
             perform set_config('app.who', current_schema(), true), set_config('lock_timeout', '7s', true);
             return was;
         end $$",
        40,
    )
    .await;
    go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(
        "do $$ declare name text; begin
             for name in select schema_name from tenantry.heads where version is not null loop
                 execute format('insert into %I.items values (1)', name);
             end loop;
         end $$",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    add(
        &files,
        2,
        "alter table items add column name text default who()",
    );
    let report = go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    assert_eq!(report.scopes[1].done(), 40, "{report:#?}");
    let told = "select count(*) from (select * from tenantry.heads where schema_name <> 'shared') h,
                       xmltable('//name' passing query_to_xml(format('select name from %I.items', schema_name), true, false, '')
                                columns name text path 'text()') t
                 where t.name ~ 'tenant|7s'";
    assert_eq!(count(&database, told).await, 0);
}

#[tokio::test]
async fn what_a_function_leaves_in_the_session_is_left_alone() {
    let (database, files) = tenants(
        "create table items (id bigint);
         create function left_there() returns bigint language plpgsql as $$
         begin
             create temp table if not exists seen (id bigint);
             insert into seen values (1);
             return (select count(*) from seen);
         end $$",
        40,
    )
    .await;
    go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    add(
        &files,
        2,
        "create table seen_by as select left_there() as times",
    );
    let report = go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    assert_eq!(report.scopes[1].done(), 40, "{report:#?}");
    let more = "select count(*) from (select * from tenantry.heads where schema_name <> 'shared') h,
                       xmltable('//times' passing query_to_xml(format('select times from %I.seen_by', schema_name), true, false, '')
                                columns times bigint path 'text()') t
                 where t.times <> 1";
    assert_eq!(count(&database, more).await, 0);
}

#[tokio::test]
async fn steps_of_a_group_are_recorded_as_those_of_one() {
    let (database, files) = tenants("create table items (id bigint)", 30).await;
    add(
        &files,
        2,
        "alter table items add column name text; create index on items (name)",
    );
    let mut connection = database.connect().await;
    let report = go(&fleet(&database.url, &files), Goal::Latest, UP).await;
    assert_eq!(report.scopes[1].done(), 30, "{report:#?}");
    // Carried alone, the first; the others differ from it in nothing but OID, name and times.
    let kinds: Vec<(i64,)> = sqlx::query_as(
        "select count(distinct schema_oid)
           from tenantry.history
          group by version, name, direction, up_checksum, down_checksum, state, how, revision, fence, who, statements_done
          order by min(revision)",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(kinds, [(30,), (30,)]);
    let heads = "select count(distinct (version, digest, repeatables_digest, revision, fence)) from tenantry.heads
                  where version is not null";
    assert_eq!(count(&database, heads).await, 1);
    let disorder = "select count(*) from tenantry.history a join tenantry.history b using (schema_oid)
                     where a.id < b.id and a.revision >= b.revision or a.finished_at < a.started_at";
    assert_eq!(count(&database, disorder).await, 0);
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_group_loses_nobody() {
    let broken_once = "create table items as
        select case nextval('public.tries') when 20 then pg_terminate_backend(pg_backend_pid()) end as ended";
    let (database, files) = tenants(broken_once, 120).await;
    let mut connection = database.connect().await;
    sqlx::raw_sql("create sequence tries")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut fleet = fleet(&database.url, &files);
    fleet.limits.also_writes = vec![Ident::new("public").unwrap()];
    let report = go(&fleet, Goal::Latest, UP).await;
    assert_eq!(report.scopes[1].done(), 120, "{report:#?}");
    assert_eq!(count(&database, AT_HEAD).await, 120);
    let history = "select count(*) from tenantry.history";
    assert_eq!(count(&database, history).await, 120);
}

#[tokio::test]
async fn whoever_was_carried_by_a_group_that_nobody_saw_end_is_not_carried_again() {
    let small = small(1).await;
    small.import("acme").await;
    let standings = small.standings().await;
    let goal = Goal::Latest;
    let cohorts = Cohorts::form(&small.fleet, Scope::Tenant, &standings, goal)
        .await
        .unwrap();
    let cohort = &cohorts.cohorts[0];
    let (plan, (_, head)) = (cohort.plan.as_ref().unwrap(), &cohort.targets[0]);
    let limits = &small.fleet.limits;
    let compiled = compile(plan, limits, Cut::Coarse, Audit::None);
    let group = Group::of(plan, &compiled, limits).unwrap();
    let mut carrier = Carrier::new(small.fleet.shards.iter().next().unwrap(), limits);
    scripts::put(carrier.session().await.unwrap().connection(), plan.texts())
        .await
        .unwrap();
    let together = carrier.carry_group(&group, &[head]).await;
    assert_eq!(together, Together::Done(vec![Vec::new()]));
    // As after a broken connection, when the group was committed all the same.
    let carried = carrier.unsure(true).carry(plan, &compiled, head).await;
    assert_eq!((carried.migrations, carried.failure), (1, None));
    assert_eq!(small.log("acme").await.len(), 1);
    // Whoever is sure is told that somebody else was there.
    let carried = carrier.carry(plan, &compiled, head).await;
    assert_eq!(carried.failure.unwrap().fault, Fault::Stale);
}

#[tokio::test]
async fn what_does_other_things_than_it_says_is_never_in_a_group() {
    let dynamic = "do $$ begin execute 'create table items ()'; end $$";
    let (database, files) = tenants(dynamic, 30).await;
    let proxy = Proxy::start(&database.url).await;
    let report = go(
        &fleet(&proxy.url_for(&database.url), &files),
        Goal::Latest,
        UP,
    )
    .await;
    assert_eq!(report.scopes[1].done(), 30, "{report:#?}");
    let messages = proxy.traffic().messages;
    let simple = messages.iter().filter(|message| **message == b'Q').count();
    assert!(simple >= 30, "{simple} messages");
}
