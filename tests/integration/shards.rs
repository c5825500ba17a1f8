//! Several databases: one that is sick or away holds back its own tenants and nobody else.

use std::sync::Mutex;

use sqlx::AssertSqlSafe;
use tenantry::{
    config::Portion,
    daemon,
    migration::Scope,
    plan::Goal,
    store::tenants::{self, Labels},
    tenant::{ShardName, TenantName, TenantState},
    travel::{Cohorts, Ended, Observer, Report, Request, Run, Survey, travel},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Several,
    fleet::{UP, go},
    proxy::Proxy,
    several::blocked,
    snapshots, until,
};

fn at(version: &str, count: usize) -> Vec<Option<String>> {
    vec![Some(version.to_owned()); count]
}

/// The screens, without the port that nobody listens on.
fn screens() -> insta::internals::SettingsBindDropGuard {
    let mut settings = snapshots();
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
    settings.bind_to_scope()
}

#[tokio::test]
async fn a_shard_that_is_away_does_not_stop_the_others() {
    let mut several = Several::with(&[("eu1", 2), ("eu2", 3), ("eu3", 1)]).await;
    several.migration(
        "shared/2-rates",
        "create table rates ()",
        "drop table rates",
    );
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table orders",
    );
    several.away(&["eu2"]);
    let bound = screens();
    insta::assert_snapshot!("status_shard_away", several.run(&["status"]).screen());
    insta::assert_snapshot!("up_shard_away", several.run(&["up"]).screen());
    insta::assert_snapshot!(
        "tenant_list_shard_away",
        several.run(&["tenant", "list"]).screen()
    );
    insta::assert_snapshot!(
        "tenant_show_shard_away",
        several.run(&["tenant", "show", "eu2_1"]).screen()
    );
    drop(bound);
    assert_eq!(several.versions("eu1").await, at("2", 2));
    assert_eq!(several.versions("eu2").await, at("1", 3));
    assert_eq!(several.versions("eu3").await, at("2", 1));

    let plan = several.run(&["plan", "--output", "json"]);
    assert_eq!(plan.code, 1, "{}", plan.screen());
    let plan = plan.json();
    for command in [
        &["status"][..],
        &["tenant", "list"],
        &["backfill", "list"],
        &["plan"],
    ] {
        let ran = several.run(&[command, &["--output", "json"]].concat());
        assert_eq!(ran.code, 1, "{}", ran.screen());
        assert_eq!(ran.json()["unwell"][0]["shard"], "eu2", "{command:?}");
        assert!(ran.json()["unwell"][1].is_null(), "{command:?}");
    }
    assert_eq!(blocked(&plan["scopes"][0]), [("shared", "unreachable")]);
    let names = ["eu2_1", "eu2_2", "eu2_3"];
    assert_eq!(
        blocked(&plan["scopes"][1]),
        names.map(|name| (name, "unreachable"))
    );
    let message = plan["scopes"][1]["blocked"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("`shards.eu2.url` says where it is"),
        "{message}"
    );
    // Who is chosen and reached is moved as if nothing were wrong, but for the shared schema, which is everybody's.
    assert_eq!(
        several
            .run(&["down", "eu1_1", "--steps", "1", "--yes"])
            .code,
        0
    );
    assert_eq!(several.run(&["tenant", "show", "eu1_1"]).code, 0);

    let back = several.run(&["down", "--all", "--to", "0", "--yes", "--output", "json"]);
    assert_eq!(back.code, 1, "{}", back.screen());
    assert_eq!(back.json()["unwell"][0]["shard"], "eu2");
    let standings = several.standings().await;
    for (schema, version) in &standings {
        let stays = match schema.as_str() {
            "eu2/shared" => Some("1"),
            tenant if tenant.starts_with("eu2/") => Some("1"),
            _ => None,
        };
        assert_eq!(version.as_deref(), stays, "{schema}: {standings:?}");
    }

    several.away(&[]);
    assert_eq!(several.run(&["up"]).code, 0);
    for (schema, version) in several.standings().await {
        assert_eq!(version.as_deref(), Some("2"), "{schema}");
    }
}

#[tokio::test]
async fn nothing_that_can_be_reached_is_a_code_of_its_own() {
    let mut several = Several::with(&[("eu1", 1), ("eu2", 1)]).await;
    several.away(&["eu1", "eu2"]);
    for command in ["up", "status", "plan"] {
        let ran = several.run(&[command]);
        assert_eq!(ran.code, 69, "{}", ran.screen());
        for shard in ["eu1", "eu2"] {
            let setting = format!("shards.{shard}.url");
            assert!(ran.stderr.contains(&setting), "{}", ran.screen());
        }
    }
    several.away(&[]);
    let mut command = several.command(&["status"]);
    command.env(
        "TENANTRY__HOME__URL",
        "postgres://nobody@127.0.0.1:1/nothing",
    );
    command.assert().code(69);
}

#[tokio::test]
async fn a_shard_without_room_is_given_up_after_some_probes_and_holds_back_only_its_own() {
    let several = Several::with(&[("eu1", 3), ("eu2", 3)]).await;
    several.sql("eu2", "create table public.full ()").await;
    several.migration(
        "shared/2-rates",
        "do $$ begin if to_regclass('public.full') is not null then
             raise 'could not extend file' using errcode = '53100'; end if; end $$",
        "select 1",
    );
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table orders",
    );
    let report = go(&several.fleet(), Goal::Latest, UP).await;
    let shared = &report.scopes[0];
    let failures: Vec<_> = shared
        .failures()
        .map(|(target, _)| target.to_string())
        .collect();
    assert_eq!(
        (shared.done(), failures),
        (1, vec!["eu2/shared".to_owned()])
    );
    assert_eq!(report.scopes[1].done(), 3);
    let why = report.scopes[1].unwell();
    let why = &why[&ShardName::new("eu2")];
    assert!(
        why.contains("could not extend file (SQLSTATE 53100)"),
        "{why}"
    );
    assert_eq!(several.versions("eu1").await, at("2", 3));
    assert_eq!(several.versions("eu2").await, at("1", 3));

    several.sql("eu2", "drop table public.full").await;
    assert!(go(&several.fleet(), Goal::Latest, UP).await.is_complete());
}

#[tokio::test]
async fn a_script_that_fails_in_one_shared_schema_stops_all() {
    let several = Several::with(&[("eu1", 1), ("eu2", 1)]).await;
    several.sql("eu2", "create table public.odd ()").await;
    several.migration(
        "shared/2-rates",
        "do $$ begin if to_regclass('public.odd') is not null then raise 'odd'; end if; end $$",
        "select 1",
    );
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table orders",
    );
    let report = go(&several.fleet(), Goal::Latest, UP).await;
    assert_eq!(report.scopes.len(), 1, "{report:#?}");
    assert_eq!(several.versions("eu1").await, at("1", 1));
}

#[tokio::test]
async fn a_short_illness_costs_nobody() {
    let several = Several::with(&[("eu1", 4), ("eu2", 4)]).await;
    // What a sequence has given is not taken back: the first three find the disk full.
    several.sql("eu2", "create sequence public.tried").await;
    several
        .sql("eu1", "create sequence public.tried start 10")
        .await;
    several.migration(
        "tenant/2-orders",
        "do $$ begin if nextval('public.tried') <= 3 then
             raise 'could not extend file' using errcode = '53100'; end if; end $$",
        "select 1",
    );
    let report = go(&several.fleet(), Goal::Latest, UP).await;
    assert!(report.is_complete(), "{report:#?}");
    let tried: i64 = sqlx::query_scalar("select last_value from public.tried")
        .fetch_one(&mut several.shards["eu2"].connect().await)
        .await
        .unwrap();
    assert_eq!(tried, 3 + 4, "each tenant that failed was tried again");
}

#[tokio::test]
async fn what_ails_one_tenant_is_not_the_database_s() {
    let several = Several::with(&[("eu1", 6)]).await;
    several.migration(
        "tenant/2-orders",
        "do $$ begin if current_schema() = 'eu1_1' then
             raise 'out of memory' using errcode = '53200'; end if; end $$",
        "select 1",
    );
    let report = travel_with(&several, Portion::Count(1), &()).await;
    let tenants = &report.scopes[1];
    assert_eq!((tenants.done(), tenants.failures().count()), (5, 1));
}

#[tokio::test]
async fn a_read_only_shard_is_left_alone() {
    let several = Several::with(&[("eu1", 2), ("eu2", 3)]).await;
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table orders",
    );
    let name = several.shards["eu2"].url.rsplit('/').next().unwrap();
    let sql = format!("alter database {name} set default_transaction_read_only = on");
    several.sql("eu1", &sql).await;
    let bound = screens();
    insta::assert_snapshot!("up_shard_read_only", several.run(&["up"]).screen());
    drop(bound);
    assert_eq!(several.versions("eu1").await, at("2", 2));
    assert_eq!(several.versions("eu2").await, at("1", 3));
}

#[tokio::test]
async fn histories_are_read_on_the_shards_that_are_left() {
    let mut several = Several::with(&[("eu1", 4), ("eu2", 1)]).await;
    for (number, name) in [(2, "orders"), (3, "lines")] {
        let (up, down) = (
            format!("create table {name} ()"),
            format!("drop table {name}"),
        );
        several.migration(&format!("tenant/{number}-{name}"), &up, &down);
    }
    assert_eq!(several.run(&["up", "--to", "2"]).code, 0);
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table if exists orders",
    );
    let survey = Survey::take(&several.fleet()).await.unwrap();
    // All of one digest that no file explains, and the first four of them cannot be asked any more.
    several.away(&["eu1"]);
    for goal in [Goal::Latest, Goal::Down(1)] {
        let fleet = several.fleet();
        let cohorts = Cohorts::form(&fleet, Scope::Tenant, &survey.tenants, goal)
            .await
            .unwrap();
        assert_eq!(cohorts.blocked.len(), 4, "{cohorts:#?}");
        let targets = &cohorts.cohorts[0].targets;
        assert_eq!(targets[0].0.to_string(), "eu2/eu2_1");
        assert_eq!(cohorts.cohorts[0].applied.len(), 2);
    }
}

/// Takes a database away when the tenants are about to be moved.
struct Cut(Mutex<Option<Proxy>>);

impl Observer for Cut {
    fn begin(&self, scope: Scope, _targets: usize) {
        if scope == Scope::Tenant {
            self.0.lock().unwrap().take();
        }
    }
}

#[tokio::test]
async fn a_shard_that_goes_away_in_the_middle_leaves_the_others_to_finish() {
    let mut several = Several::with(&[("eu1", 3), ("eu2", 3)]).await;
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table orders",
    );
    let url = several.shards["eu2"].url.clone();
    let proxy = Proxy::start(&url).await;
    several.shards.get_mut("eu2").unwrap().url = proxy.url_for(&url);
    several.set("eu1", "concurrency = 1");
    let cut = Cut(Mutex::new(Some(proxy)));
    let report = travel_with(&several, Portion::Count(0), &cut).await;
    let tenants = &report.scopes[1];
    assert_eq!(tenants.done(), 3, "{report:#?}");
    assert_eq!((tenants.failures().count(), tenants.not_started()), (1, 2));
    let (_, failure) = tenants.failures().next().unwrap();
    let message = &failure.error.message;
    assert!(
        message.contains("cannot connect to eu2") && message.contains("shards.eu2.url"),
        "{message}"
    );
}

/// Tells when the first target has failed.
struct Failed(CancellationToken);

impl Observer for Failed {
    fn ended(&self, _scope: Scope, run: &Run) {
        if matches!(run.ended, Ended::Failed(_)) {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn a_sick_shard_costs_the_others_none_of_their_budget() {
    let mut several = Several::with(&[("eu1", 3), ("eu2", 1)]).await;
    several.set("eu1", "concurrency = 1");
    several.sql("eu2", "create table public.ill ()").await;
    several.migration(
        "tenant/2-orders",
        "do $$ begin
             if to_regclass('public.ill') is not null then
                 perform pg_terminate_backend(pg_backend_pid());
                 perform pg_sleep(10);
             end if;
             perform pg_advisory_xact_lock(99);
         end $$",
        "select 1",
    );
    // The first of eu1 is held up until eu2 has failed; the others are begun after that.
    let mut lock = several.shards["eu1"].connect().await;
    sqlx::raw_sql("select pg_advisory_lock(99)")
        .execute(&mut lock)
        .await
        .unwrap();
    let failed = Failed(CancellationToken::new());
    let travel = travel_with(&several, Portion::Count(0), &failed);
    let release = async {
        failed.0.cancelled().await;
        drop(lock);
    };
    let (report, ()) = tokio::join!(travel, release);
    let tenants = &report.scopes[1];
    assert_eq!(
        (tenants.done(), tenants.failures().count()),
        (3, 1),
        "{report:#?}"
    );
    let unwell: Vec<_> = tenants
        .unwell()
        .into_keys()
        .map(ShardName::as_str)
        .collect();
    assert_eq!(unwell, ["eu2"]);
}

async fn travel_with(several: &Several, max_failures: Portion, observer: &dyn Observer) -> Report {
    let request = Request {
        goal: Goal::Latest,
        scopes: UP,
        select: &|_| true,
        max_failures,
    };
    travel(
        &several.fleet(),
        &request,
        &CancellationToken::new(),
        observer,
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn each_shard_has_a_concurrency_of_its_own() {
    let mut several = Several::with(&[("eu1", 3), ("eu2", 3)]).await;
    for (shard, at_once) in [("eu1", 1), ("eu2", 3)] {
        several.set(shard, &format!("concurrency = {at_once}"));
        let sql = format!("create table public.at_once as select {at_once} as n");
        several.sql(shard, &sql).await;
    }
    // Each waits until there are as many as there should be, and fails where there are more.
    several.migration(
        "tenant/2-together",
        "-- tenantry: statement-timeout=30s
         do $$ declare
             wanted bigint := (select n from public.at_once);
             here bigint;
         begin
             perform pg_advisory_xact_lock_shared(77);
             loop
                 select count(*) into here from pg_locks
                  where objid = 77 and granted
                    and database = (select oid from pg_database where datname = current_database());
                 if here > wanted then raise 'there are %', here; end if;
                 -- What a sequence has given is seen at once: whoever leaves first tells the others.
                 if here = wanted then perform nextval('public.met'); end if;
                 exit when (select is_called from public.met);
                 perform pg_sleep(0.01);
             end loop;
         end $$",
        "select 1",
    );
    for shard in ["eu1", "eu2"] {
        several.sql(shard, "create sequence public.met").await;
    }
    let report = go(&several.fleet(), Goal::Latest, UP).await;
    assert!(report.is_complete(), "{report:#?}");
}

#[tokio::test]
async fn a_new_tenant_is_put_where_there_is_the_most_room() {
    let mut several = Several::with(&[("eu1", 2), ("eu2", 1), ("eu3", 0)]).await;
    several.set("eu2", "max_tenants = 3");
    several.set("eu3", "max_tenants = 1");
    let bound = {
        let mut settings = snapshots();
        settings.add_filter(r"\d+ relations", "N relations");
        settings.add_filter(r#""relations": \d+"#, r#""relations": "N""#);
        settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "[time]");
        settings.bind_to_scope()
    };
    // Nothing is on it.
    let placed = several.run(&["tenant", "add", "first"]);
    insta::assert_snapshot!("tenant_add_placed", placed.screen());
    // It is full now; of the others, eu1 has no limit, and eu2 has a third of its own.
    let placed = several.run(&["tenant", "add", "second", "--output", "json"]);
    insta::assert_snapshot!("tenant_add_placed_json", placed.screen());
    drop(bound);
    // Named is named, however full.
    let named = several.run(&[
        "tenant", "add", "third", "--shard", "eu3", "--output", "json",
    ]);
    assert_eq!(named.json()["placement"]["by"], "named");
    // What is away cannot be chosen.
    several.away(&["eu1"]);
    let placed = several
        .run(&["tenant", "add", "fourth", "--output", "json"])
        .json();
    assert_eq!(placed["shard"], "eu2");
    several.set("eu2", "# full now");
    let fifth = several
        .run(&["tenant", "add", "fifth", "--output", "json"])
        .json();
    assert_eq!(fifth["shard"], "eu2");
    let full = several.run(&["tenant", "add", "sixth"]);
    assert_eq!(full.code, 1);
    assert!(
        full.stderr.contains("max_tenants") && full.stderr.contains("eu1"),
        "{}",
        full.screen()
    );
}

#[tokio::test]
async fn what_was_begun_is_gone_on_with_where_it_is() {
    let several = Several::with(&[("eu1", 0), ("eu2", 2)]).await;
    let name = TenantName::new("begun").unwrap();
    let state = TenantState::Provisioning;
    let (shard, labels) = (ShardName::new("eu2"), Labels::new());
    let mut home = several.home.connect().await.into();
    tenants::insert(&mut home, &name, &shard, state, &labels)
        .await
        .unwrap();
    let added = several
        .run(&["tenant", "add", "begun", "--output", "json"])
        .json();
    assert_eq!(
        (&added["shard"], &added["placement"]["by"]),
        (&"eu2".into(), &"begun".into())
    );
    assert_eq!(several.run(&["tenant", "add", "begun"]).code, 1);
}

#[tokio::test]
async fn the_daemon_goes_on_with_the_others_and_comes_back() {
    let several = Several::with(&[("eu1", 1), ("eu2", 1)]).await;
    several.migration(
        "tenant/2-orders",
        "create table orders ()",
        "drop table orders",
    );
    let name = several.shards["eu2"]
        .url
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let allow = async |allowed: bool| {
        let sql = format!("alter database {name} with allow_connections {allowed}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut several.home.connect().await)
            .await
            .unwrap();
    };
    allow(false).await;
    let built = daemon::build(several.settings()).await.unwrap();
    let stop = CancellationToken::new();
    let test = async {
        let version = async |tenant: &str| -> Option<String> {
            let shard = tenant.split('_').next().unwrap();
            sqlx::query_scalar("select version from tenantry.heads where schema_name = $1")
                .bind(tenant)
                .fetch_one(&mut several.shards[shard].connect().await)
                .await
                .unwrap()
        };
        until("eu1 is moved", async || {
            version("eu1_1").await.as_deref() == Some("2")
        })
        .await;
        let (shard, labels) = (ShardName::new("eu1"), Labels::new());
        let (name, state) = (TenantName::new("fresh").unwrap(), TenantState::Provisioning);
        let mut home = several.home.connect().await.into();
        tenants::insert(&mut home, &name, &shard, state, &labels)
            .await
            .unwrap();
        until("the new tenant is ready", async || {
            let tenant = tenants::get(&mut home, &name).await.unwrap().unwrap();
            tenant.state == TenantState::Active
        })
        .await;
        allow(true).await;
        until("eu2 is moved", async || {
            version("eu2_1").await.as_deref() == Some("2")
        })
        .await;
        stop.cancel();
    };
    let (ran, ()) = tokio::join!(built.run(stop.clone().cancelled_owned()), test);
    ran.unwrap();
}
