//! Locks that an application holds: how long they are waited for, and who is named; and the end of what waits.

use std::{sync::Mutex, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tenantry::{
    apply::Failure,
    migration::Scope,
    plan::Goal,
    postgres::{Blocker, Fault, Shard, Shards},
    tenant::ShardName,
    travel::{Ended, Observer, Report, Run, travel},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Small, database,
    fleet::{all_to, empty_tenants, with_sets},
    proxy::Proxy,
    small, until,
};

/// A session of an application, in a transaction that has done this.
async fn application(small: &Small, sql: &'static str) -> PgConnection {
    let options: PgConnectOptions = small.database.url.parse().unwrap();
    let options = options.application_name("the shop");
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection
}

async fn pid(connection: &mut PgConnection) -> i32 {
    let pid = "select pg_backend_pid()";
    sqlx::query_scalar(pid).fetch_one(connection).await.unwrap()
}

/// Tenants `acme` and more with a table `t1` each, and a pending migration that needs it for itself.
async fn behind(tenants: &[&str]) -> Small {
    let small = small(1).await;
    for tenant in tenants {
        small.add(tenant).await;
    }
    small.write("tenant/2-t2.up.sql", "alter table t1 add column more int;");
    small.write("tenant/2-t2.down.sql", "alter table t1 drop column more;");
    let mut small = small.reopened();
    small.fleet.limits.lock_timeout = Duration::from_millis(1500);
    small.fleet.limits.lock_tries = 2;
    small
}

fn failure(report: &Report) -> &Failure {
    let failures: Vec<_> = report.scopes[0].failures().collect();
    assert_eq!(failures.len(), 1, "{report:#?}");
    failures[0].1
}

fn only(failure: &Failure) -> &Blocker {
    assert_eq!(failure.blockers.len(), 1, "{failure:#?}");
    &failure.blockers[0]
}

#[tokio::test]
async fn who_holds_the_table_is_named() {
    let small = behind(&["acme"]).await;
    let mut shop = application(&small, "select * from acme.t1").await;
    let pid = pid(&mut shop).await;
    let report = small.go(Goal::Latest).await;
    let failure = failure(&report);
    assert_eq!((failure.fault, failure.tries), (Fault::Retry, 2));
    let Blocker { activity, on } = only(failure);
    assert_eq!((activity.pid, on.as_str()), (Some(pid), "acme.t1"));
    assert_eq!(activity.application.as_deref(), Some("the shop"));
    assert_eq!(activity.state.as_deref(), Some("idle in transaction"));
    assert!(activity.user.is_some() && activity.client.is_some());
    assert!(activity.transaction_ms >= Some(300), "{activity:?}");
    assert_eq!(activity.query.as_deref(), Some("select pg_backend_pid()"));
    let said = failure.to_string();
    assert!(
        said.contains(&format!("; blocked by pid {pid} (user ")),
        "{said}"
    );
}

#[tokio::test]
async fn a_prepared_transaction_is_named() {
    let small = behind(&["acme"]).await;
    let mut shop = application(&small, "lock table acme.t1 in access share mode").await;
    let name = format!("order of {}", std::process::id());
    let prepare = sqlx::AssertSqlSafe(format!("prepare transaction '{name}'"));
    sqlx::raw_sql(prepare).execute(&mut shop).await.unwrap();
    let report = small.go(Goal::Latest).await;
    let Blocker { activity, on } = only(failure(&report));
    assert_eq!(activity.prepared.as_deref(), Some(&*name));
    assert_eq!((activity.pid, on.as_str()), (None, "acme.t1"));
    small.run(&format!("rollback prepared '{name}'")).await;
    assert!(small.go(Goal::Latest).await.is_complete());
}

#[tokio::test]
async fn rows_and_advisory_locks_have_holders_as_well() {
    let mut small = small(1).await;
    small.add("acme").await;
    small
        .run("alter table acme.t1 add n int; insert into acme.t1 values (1)")
        .await;
    small.fleet.limits.lock_timeout = Duration::from_millis(1500);
    small.fleet.limits.lock_tries = 1;
    for (held, text, on) in [
        ("update acme.t1 set n = 2", "update t1 set n = 3;", "a row"),
        (
            "select pg_advisory_xact_lock(77)",
            "select pg_advisory_xact_lock(77);",
            "an advisory lock",
        ),
    ] {
        let mut shop = application(&small, held).await;
        small.write("tenant/2-t2.up.sql", text);
        small.write("tenant/2-t2.down.sql", "select 1;");
        let limits = small.fleet.limits.clone();
        small = small.reopened();
        small.fleet.limits = limits;
        let report = small.go(Goal::Latest).await;
        let blocker = only(failure(&report));
        assert_eq!(blocker.activity.pid, Some(pid(&mut shop).await), "{held}");
        assert!(blocker.on.starts_with(on), "{blocker:?}");
    }
}

#[tokio::test]
async fn a_statement_timeout_in_the_midst_of_a_wait_names_the_holder() {
    let mut small = behind(&["acme"]).await;
    small.fleet.limits.lock_timeout = Duration::from_millis(1500);
    small.fleet.limits.statement_timeout = Duration::from_millis(1200);
    small.fleet.limits.lock_tries = 1;
    let mut shop = application(&small, "select * from acme.t1").await;
    let report = small.go(Goal::Latest).await;
    let failure = failure(&report);
    assert_eq!(
        (failure.fault, failure.error.code.as_str()),
        (Fault::Tenant, "57014")
    );
    assert_eq!(only(failure).activity.pid, Some(pid(&mut shop).await));
}

#[tokio::test]
async fn the_other_side_of_a_deadlock_is_named() {
    let mut small = small(2).await;
    small.add("acme").await;
    // Ours is the only one that looks for deadlocks, so it is the one that is given up.
    let text = "set local deadlock_timeout = '2s';
                lock table t1 in exclusive mode; lock table t2 in exclusive mode;";
    small.write("tenant/3-t3.up.sql", text);
    small.write("tenant/3-t3.down.sql", "select 1;");
    small = small.reopened();
    small.fleet.limits.lock_timeout = Duration::from_secs(600);
    small.fleet.limits.lock_tries = 1;
    let held = "set local deadlock_timeout = '1h'; lock table acme.t2 in exclusive mode";
    let mut shop = application(&small, held).await;
    let pid = pid(&mut shop).await;
    let other = async {
        is_waiting(&small).await;
        let lock = "lock table acme.t1 in exclusive mode";
        sqlx::raw_sql(lock).execute(&mut shop).await.unwrap();
    };
    let (report, ()) = tokio::join!(small.go(Goal::Latest), other);
    let failure = failure(&report);
    assert_eq!(
        (failure.fault, failure.error.code.as_str()),
        (Fault::Retry, "40P01")
    );
    let Blocker { activity, on } = only(failure);
    assert_eq!((activity.pid, on.as_str()), (Some(pid), "acme.t2"));
}

#[tokio::test]
async fn who_was_in_the_way_before_is_not_blamed_for_what_came_after() {
    let mut small = behind(&["acme"]).await;
    small.fleet.limits.lock_timeout = Duration::from_secs(60);
    small.fleet.limits.lock_tries = 1;
    small.fleet.limits.statement_timeout = Duration::from_secs(60);
    small.write(
        "tenant/3-t3.up.sql",
        "-- tenantry: lock-timeout=40ms, statement-timeout=400ms\nselect pg_sleep(60);",
    );
    small.write("tenant/3-t3.down.sql", "select 1;");
    let limits = small.fleet.limits.clone();
    small = small.reopened();
    small.fleet.limits = limits;
    let mut shop = application(&small, "select * from acme.t1").await;
    let freed = async {
        is_waiting(&small).await;
        sqlx::raw_sql("rollback").execute(&mut shop).await.unwrap();
    };
    let (report, ()) = tokio::join!(small.go(Goal::Latest), freed);
    let failure = failure(&report);
    assert_eq!(
        (failure.error.code.as_str(), &failure.blockers[..]),
        ("57014", &[][..])
    );
}

/// Somebody waits for a lock in this database.
async fn is_waiting(small: &Small) {
    let mut connection = small.connect().await;
    until("somebody waits", async || {
        let waits = "select exists (select from pg_locks l join pg_stat_activity a using (pid)
                      where not l.granted and a.datname = current_database())";
        sqlx::query_scalar(waits)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
    .await;
}

/// Of ours there is no session in the database but those that look, and no lock.
async fn is_quiet(small: &Small) {
    let mut connection = small.connect().await;
    until("nothing of ours runs", async || {
        let ours = "select exists (select from pg_stat_activity
                     where datname = current_database() and application_name = 'tenantry'
                       and (state <> 'idle' or exists (select from pg_locks l where l.pid = pg_stat_activity.pid)))";
        !sqlx::query_scalar::<_, bool>(ours).fetch_one(&mut connection).await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn what_runs_is_cancelled_on_the_server() {
    let mut small = behind(&["acme"]).await;
    small.fleet.limits.lock_timeout = Duration::from_secs(3600);
    small.fleet.limits.lock_tries = 1;
    let _shop = application(&small, "select * from acme.t1").await;
    let stop = CancellationToken::new();
    let request = all_to(Goal::Latest, &[Scope::Tenant]);
    let cut = async {
        is_waiting(&small).await;
        stop.cancel();
        small.fleet.shards.cut().cancel();
    };
    let (report, ()) = tokio::join!(travel(&small.fleet, &request, &stop, &()), cut);
    let report = report.unwrap();
    assert!(report.stopped);
    let failure = failure(&report);
    assert_eq!(failure.fault, Fault::Cancelled, "{failure:#?}");
    let fate = failure.error.detail.as_deref();
    assert_eq!(fate, Some("it was cancelled on the server"));
    is_quiet(&small).await;
    let head = small.pinned("acme").await.head;
    assert_eq!(head.revision, 1);
}

#[tokio::test]
async fn what_takes_longer_than_its_deadline_is_ended_on_the_server() {
    let mut small = small(1).await;
    small.add("acme").await;
    small.fleet.limits.statement_timeout = Duration::from_millis(50);
    small.fleet.limits.grace = Duration::from_millis(300);
    // Its name in two parts: of what a script says openly of its time, it is taken by its word.
    let text = "do $$ begin perform set_config('statement' || '_timeout', '0', true); end $$;
                select pg_sleep(600);";
    small.write("tenant/2-t2.up.sql", text);
    small.write("tenant/2-t2.down.sql", "select 1;");
    let limits = small.fleet.limits.clone();
    small = small.reopened();
    small.fleet.limits = limits;
    let stop = CancellationToken::new();
    let request = all_to(Goal::Latest, &[Scope::Tenant]);
    let stopped = async {
        let mut connection = small.connect().await;
        until("it sleeps", async || {
            let asleep = "select exists (select from pg_stat_activity
                           where datname = current_database() and wait_event = 'PgSleep')";
            sqlx::query_scalar(asleep)
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
        stop.cancel();
    };
    let (report, ()) = tokio::join!(travel(&small.fleet, &request, &stop, &()), stopped);
    let report = report.unwrap();
    let failure = failure(&report);
    assert_eq!(failure.fault, Fault::Connection);
    let fate = failure.error.detail.as_deref();
    assert_eq!(fate, Some("it was cancelled on the server"), "{failure:#?}");
    is_quiet(&small).await;
}

/// The order in which targets have ended.
#[derive(Default)]
struct Order(Mutex<Vec<String>>);

impl Observer for Order {
    fn ended(&self, _scope: Scope, run: &Run) {
        assert_eq!(run.ended, Ended::Done, "{run:?}");
        let schema = run.target.schema.as_str().to_owned();
        self.0.lock().unwrap().push(schema);
    }
}

#[tokio::test]
async fn a_locked_tenant_is_late_and_nobody_else_is_and_its_readers_go_on() {
    let tenants = ["acme", "blue", "coral", "dune", "ember", "fern"];
    let mut small = behind(&tenants).await;
    small.fleet.limits.lock_tries = 12;
    let mut shop = application(&small, "select * from acme.t1").await;
    let order = Order::default();
    let request = all_to(Goal::Latest, &[Scope::Tenant]);
    let read = async {
        is_waiting(&small).await;
        until("the others are done", async || {
            order.0.lock().unwrap().len() == 5
        })
        .await;
        // Whoever reads it meanwhile waits for no longer than one try: several are in vain before the shop lets go.
        let mut reader = small.connect().await;
        for _ in 0..3 {
            is_waiting(&small).await;
            let reads = sqlx::query("select * from acme.t1").execute(&mut reader);
            let read = tokio::time::timeout(Duration::from_secs(20), reads).await;
            read.unwrap().unwrap();
        }
        assert!(!order.0.lock().unwrap().contains(&"acme".to_owned()));
        sqlx::raw_sql("rollback").execute(&mut shop).await.unwrap();
    };
    let stop = CancellationToken::new();
    let (report, ()) = tokio::join!(travel(&small.fleet, &request, &stop, &order), read);
    assert!(report.unwrap().is_complete());
    let order = order.0.into_inner().unwrap();
    assert_eq!(
        (order.len(), order.last().map(String::as_str)),
        (6, Some("acme"))
    );
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_to_connect() {
    let database = database().await;
    let proxy = Proxy::start(&database.url).await;
    let options: PgConnectOptions = proxy.url_for(&database.url).parse().unwrap();
    let shard = Shard::new(ShardName::new("main"), options, 1);
    let shard = shard.connect_timeout(Duration::from_millis(300));
    shard.connect().await.unwrap().close().await;
    proxy.fall_silent();
    let late = shard.connect().await.unwrap_err().to_string();
    assert!(late.contains("no answer within 300ms"), "{late}");
}

#[tokio::test]
async fn a_message_into_a_black_hole_ends_whether_or_not_it_has_a_deadline() {
    for text in [
        "select pg_sleep(600);",
        "set local statement_timeout = 0; select pg_sleep(600);",
    ] {
        let failure = into_a_black_hole(text).await;
        let said = &failure.error.message;
        assert!(
            said.contains("the server gave no answer within 1s"),
            "{failure:#?}"
        );
    }
}

/// What comes of a script when the network breaks while it runs, with a grace of 1 s.
async fn into_a_black_hole(text: &str) -> Failure {
    let (database, files) = (database().await, tempfile::tempdir().unwrap());
    for scope in ["shared", "tenant"] {
        std::fs::create_dir(files.path().join(scope)).unwrap();
    }
    let write = |name: &str, text: &str| {
        std::fs::write(files.path().join("tenant").join(name), text).unwrap();
    };
    write("1-slow.up.sql", text);
    write("1-slow.down.sql", "select 1;");
    let (shared, tenant) = (files.path().join("shared"), files.path().join("tenant"));
    empty_tenants(&database, &with_sets(&database.url, &shared, &tenant), 1).await;
    let proxy = Proxy::start(&database.url).await;
    let url = proxy.url_for(&database.url);
    let mut fleet = with_sets(&url, &shared, &tenant);
    fleet.limits.lock_timeout = Duration::from_millis(60);
    fleet.limits.grace = Duration::from_secs(1);
    let main = Shard::new(ShardName::new("main"), url.parse().unwrap(), 1);
    let main = main.connect_timeout(Duration::from_millis(300));
    fleet.shards = Shards::new(main.clone(), [main]);
    let stop = CancellationToken::new();
    let request = all_to(Goal::Latest, &[Scope::Tenant]);
    let cut_off = async {
        let mut connection = database.connect().await;
        until("it sleeps, and was seen to", async || {
            let asleep = "select count(*) filter (where wait_event = 'PgSleep') = 1
                             and count(*) filter (where state = 'idle' and query like '%pg_stat_get_activity%') = 1
                            from pg_stat_activity
                           where datname = current_database() and application_name = 'tenantry'";
            sqlx::query_scalar(asleep).fetch_one(&mut connection).await.unwrap()
        })
        .await;
        proxy.fall_silent();
        stop.cancel();
    };
    let (report, ()) = tokio::join!(travel(&fleet, &request, &stop, &()), cut_off);
    let report = report.unwrap();
    let failure = failure(&report);
    assert_eq!(failure.fault, Fault::Connection, "{failure:#?}");
    let fate = failure.error.detail.as_deref().unwrap();
    assert!(
        fate.starts_with("it could not be cancelled on the server: "),
        "{fate}"
    );
    failure.clone()
}
