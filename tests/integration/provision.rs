//! Tenants made, taken over and taken away.

use sqlx::postgres::PgConnectOptions;
use tenantry::{
    fleet::Fleet,
    plan::Goal,
    postgres::{Shard, Shards},
    provision::{self, Imported, ProvisionError},
    store::tenants::{self, Labels, Tenant},
    tenant::{ShardName, TenantName, TenantState},
    travel::Why,
};

use crate::support::{Small, Written, small};

fn name(text: &str) -> TenantName {
    TenantName::new(text).unwrap()
}

fn main_shard() -> ShardName {
    ShardName::new("main")
}

async fn add(small: &Small, tenant: &str) -> Result<Tenant, ProvisionError> {
    provision::add(&small.fleet, &name(tenant), &main_shard(), &Labels::new())
        .await
        .map(|added| added.tenant)
}

async fn registered(small: &Small, tenant: &str) -> Option<TenantState> {
    let mut home = small.fleet.home().await.unwrap();
    let tenant = tenants::get(home.connection(), &name(tenant))
        .await
        .unwrap();
    tenant.map(|tenant| tenant.state)
}

#[tokio::test]
async fn no_tenant_before_the_shared_schema_is_at_its_head() {
    let small = small(1).await;
    small.write("shared/1-plans.up.sql", "create table plans ();");
    small.write("shared/1-plans.down.sql", "drop table plans;");
    let small = small.reopened();
    let error = add(&small, "acme").await.unwrap_err();
    assert!(
        matches!(error, ProvisionError::SharedBehind { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("tenantry up --scope shared"));
    assert_eq!(registered(&small, "acme").await, None);

    small
        .run(
            "create schema shared; insert into tenantry.heads (schema_oid, schema_name)
               select oid, nspname from pg_namespace where nspname = 'shared'",
        )
        .await;
    let error = add(&small, "acme").await.unwrap_err().to_string();
    assert!(error.contains("lacks 1 migration"), "{error}");
    let shared = tenantry::travel::Survey::take(&small.fleet)
        .await
        .unwrap()
        .shared;
    let baseline = tenantry::plan::Correction::Baseline(tenantry::migration::Version::new(1));
    let scope = tenantry::migration::Scope::Shared;
    tenantry::travel::record(&small.fleet, scope, &shared, baseline)
        .await
        .unwrap();
    assert_eq!(
        add(&small, "acme").await.unwrap().state,
        TenantState::Active
    );
}

#[tokio::test]
async fn what_is_there_already_is_not_taken_by_a_new_tenant() {
    let small = small(1).await;
    small
        .run("create schema acme; create table acme.theirs ()")
        .await;
    let error = add(&small, "acme").await.unwrap_err();
    assert!(
        matches!(error, ProvisionError::SchemaExists { .. }),
        "{error}"
    );
    assert_eq!(registered(&small, "acme").await, None);
    assert_eq!(small.tables("acme").await, ["theirs"]);

    small.add("bolt").await;
    let error = add(&small, "bolt").await.unwrap_err();
    assert!(matches!(error, ProvisionError::Taken(_)), "{error}");
    let elsewhere = ShardName::new("nowhere");
    let error = provision::add(&small.fleet, &name("coil"), &elsewhere, &Labels::new()).await;
    assert!(error.unwrap_err().to_string().contains("there are: main"));
    assert_eq!(registered(&small, "coil").await, None);
    assert!(matches!(
        add(&small, "shared").await,
        Err(ProvisionError::SharedName(_))
    ));
}

#[tokio::test]
async fn an_interrupted_tenant_is_finished_by_adding_it_again() {
    let small = small(2).await;
    small.write(
        "tenant/2-t2.up.sql",
        "create table t2 (); select 1 / (select count(*) from public.cause);",
    );
    let small = small.reopened();
    small.run("create table public.cause (id int)").await;
    let error = add(&small, "acme").await.unwrap_err();
    assert!(matches!(error, ProvisionError::Failed(_)), "{error}");
    assert_eq!(
        registered(&small, "acme").await,
        Some(TenantState::Provisioning)
    );
    small.run("insert into public.cause values (1)").await;
    assert_eq!(
        add(&small, "acme").await.unwrap().state,
        TenantState::Active
    );
    assert_eq!(small.tables("acme").await, ["t1", "t2"]);
}

#[tokio::test]
async fn a_restored_schema_is_blocked_until_it_is_imported_and_keeps_its_history() {
    let small = small(2).await;
    small.add("acme").await;
    small.run("drop schema acme cascade; create schema acme; create table acme.t1 (); create table acme.t2 ()").await;
    let blocked = small.go(Goal::Latest).await;
    assert_eq!(blocked.scopes[0].blocked[0].why, Why::Gone);
    let error = provision::retire(&small.fleet, &name("acme"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProvisionError::MadeAnew { .. }), "{error}");
    assert_eq!(registered(&small, "acme").await, Some(TenantState::Active));

    let (acme, shard) = (name("acme"), main_shard());
    let import = || provision::import(&small.fleet, &acme, &shard);
    assert_eq!(import().await.unwrap(), Imported::Repinned);
    assert_eq!(import().await.unwrap(), Imported::Unchanged);
    assert_eq!(small.log("acme").await.len(), 2);
    assert_eq!(small.go(Goal::Latest).await.scopes[0].current, 1);
    assert!(small.go(Goal::Empty).await.is_complete());
}

#[tokio::test]
async fn retiring_takes_the_schema_and_nothing_but_the_schema() {
    let small = small(1).await;
    let weird = r#"we"ird; drop schema public cascade--"#;
    for tenant in ["acme", "dirty", "dropped", "renamed", weird] {
        small.add(tenant).await;
    }
    small
        .run(
            "create table public.kept (); alter schema renamed rename to another; drop schema dropped cascade;
             update tenantry.heads set dirty_version = '1' where schema_name = 'dirty'",
        )
        .await;
    for tenant in ["dirty", "dropped", weird] {
        provision::retire(&small.fleet, &name(tenant))
            .await
            .unwrap();
        assert_eq!(registered(&small, tenant).await, None);
        assert_eq!(small.tables(tenant).await, [""; 0]);
    }
    let error = provision::retire(&small.fleet, &name("renamed"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProvisionError::Renamed { .. }), "{error}");
    let unknown = provision::retire(&small.fleet, &name("nobody")).await;
    assert!(matches!(unknown, Err(ProvisionError::Unknown(_))));
    assert_eq!(small.tables("acme").await, ["t1"]);
    assert_eq!(small.tables("another").await, ["t1"]);
    assert_eq!(small.tables("public").await, ["kept"]);
    // The name is free again.
    small.add(weird).await;
    assert_eq!(small.tables(weird).await, ["t1"]);
    small.add("dropped").await;
}

#[tokio::test]
async fn a_tenant_that_somebody_is_at_work_on_is_not_retired() {
    let small = small(1).await;
    small.add("acme").await;
    let mut other = small.connect().await;
    let lock = "select pg_advisory_lock((1953395321::bigint << 32) | $1)";
    let oid = i64::from(small.pinned("acme").await.head.schema_oid);
    sqlx::query(lock)
        .bind(oid)
        .execute(&mut other)
        .await
        .unwrap();
    let error = provision::retire(&small.fleet, &name("acme"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProvisionError::Busy(_)), "{error}");
    assert_eq!(small.tables("acme").await, ["t1"]);
}

#[tokio::test]
async fn after_a_restore_oids_that_changed_hands_are_no_obstacle() {
    let small = small(1).await;
    for tenant in ["acme", "bolt", "coil"] {
        small.add(tenant).await;
    }
    // Each name has the schema, and so the OID, that was another's: acme bolt's, bolt coil's, coil acme's.
    small
        .run(
            "alter schema acme rename to was_acme; alter schema bolt rename to acme;
             alter schema coil rename to bolt; alter schema was_acme rename to coil",
        )
        .await;
    let shard = main_shard();
    let import = async |tenant| provision::import(&small.fleet, &name(tenant), &shard).await;
    assert_eq!(import("bolt").await.unwrap(), Imported::Repinned);
    for tenant in ["acme", "coil"] {
        assert_eq!(import(tenant).await.unwrap(), Imported::Unchanged);
        assert_eq!(small.log(tenant).await.len(), 1);
    }
    assert_eq!(small.go(Goal::Latest).await.scopes[0].current, 3);
    assert!(small.go(Goal::Empty).await.is_complete());
}

#[tokio::test]
async fn a_new_schema_with_an_oid_that_was_anothers_before_a_restore_is_imported() {
    let small = small(1).await;
    small.add("acme").await;
    small
        .run("alter schema acme rename to bolt; create schema acme; create table acme.t1 ()")
        .await;
    let import = provision::import(&small.fleet, &name("bolt"), &main_shard()).await;
    assert_eq!(import.unwrap(), Imported::New);
    assert_eq!(small.log("acme").await.len(), 1);
    assert!(small.pinned("acme").await.is_intact());
}

#[tokio::test]
async fn a_renamed_schema_is_not_imported_under_its_new_name() {
    let small = small(1).await;
    small.add("acme").await;
    small.run("alter schema acme rename to bolt").await;
    let import = || async { provision::import(&small.fleet, &name("bolt"), &main_shard()).await };
    let error = import().await.unwrap_err();
    assert!(matches!(error, ProvisionError::Anothers { .. }), "{error}");
    assert!(
        error.to_string().contains("history is that of acme"),
        "{error}"
    );
    // As the error says: when it was no rename, but a restore without acme.
    small.run("create schema acme").await;
    assert_eq!(import().await.unwrap(), Imported::New);
}

#[tokio::test]
async fn a_restored_shared_schema_gets_its_history_back() {
    let small = small(1).await;
    small.write("shared/1-plans.up.sql", "create table plans ();");
    small.write("shared/1-plans.down.sql", "drop table plans;");
    let small = small.reopened();
    assert!(small.tenantry(&["up"]).output().unwrap().status.success());
    small
        .run("drop schema shared cascade; create schema shared; create table shared.plans ()")
        .await;
    let up = small.text(&["up"]);
    assert!(
        up.contains("`tenantry baseline VERSION --scope shared`"),
        "{up}"
    );
    let baseline = small.text(&["baseline", "1", "--scope", "shared"]);
    assert!(baseline.starts_with("exit code 0"), "{baseline}");
    let up = small.text(&["up"]);
    assert!(up.starts_with("exit code 0"), "{up}");
}

#[tokio::test]
async fn who_builds_a_tenant_that_is_retired_meanwhile_leaves_nothing_behind() {
    let small = small(1).await;
    let mut home = small.fleet.home().await.unwrap();
    small
        .run("insert into tenantry.tenants (name, shard, state) values ('acme', 'main', 'provisioning'), ('bolt', 'main', 'provisioning')")
        .await;
    let loaded = tenants::in_state(home.connection(), TenantState::Provisioning)
        .await
        .unwrap();
    provision::retire(&small.fleet, &name("acme"))
        .await
        .unwrap();
    small
        .run("update tenantry.tenants set state = 'retiring' where name = 'bolt'")
        .await;
    for tenant in &loaded {
        let error = provision::resume(&small.fleet, tenant).await.unwrap_err();
        let expected = matches!(
            error,
            ProvisionError::Unknown(_) | ProvisionError::State { .. }
        );
        assert!(expected, "{error}");
    }
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from tenantry.heads) + (select count(*) from pg_namespace where nspname in ('acme', 'bolt'))",
    )
    .fetch_one(&mut small.connect().await)
    .await
    .unwrap();
    assert_eq!((loaded.len(), left), (2, 0));
}

#[tokio::test]
async fn what_was_not_made_for_a_tenant_is_not_dropped_whatever_the_registry_says() {
    let small = small(1).await;
    small.import("acme").await;
    small
        .run("create table acme.orders (); update tenantry.tenants set state = 'provisioning'")
        .await;
    let mut home = small.fleet.home().await.unwrap();
    let tenant = tenants::get(home.connection(), &name("acme")).await;
    let tenant = tenant.unwrap().unwrap();
    // A registry that cannot be asked.
    let options = small.database.url.parse::<PgConnectOptions>().unwrap();
    let away = Shard::new(main_shard(), options.clone().socket("/nowhere"), 1);
    let there = Shard::new(main_shard(), options, 1);
    let cut_off = Fleet {
        shards: Shards::new(away, [there]),
        ..small.fleet.clone()
    };
    let error = provision::resume(&cut_off, &tenant).await.unwrap_err();
    assert!(matches!(error, ProvisionError::Fleet(_)), "{error}");
    assert_eq!(small.tables("acme").await, ["orders"]);
    // One that says no.
    small
        .run("update tenantry.tenants set state = 'retiring'")
        .await;
    let error = provision::resume(&small.fleet, &tenant).await.unwrap_err();
    assert!(matches!(error, ProvisionError::State { .. }), "{error}");
    assert_eq!(small.tables("acme").await, ["orders"]);
}

#[tokio::test]
async fn a_name_that_another_is_about_to_have_is_not_imported() {
    let small = small(1).await;
    small.add("acme").await;
    let mut home = small.fleet.home().await.unwrap();
    let (acme, bolt) = (name("acme"), name("bolt"));
    let active = TenantState::Active;
    let begun = tenants::begin_rename(home.connection(), &acme, active, &bolt).await;
    assert!(begun.unwrap());
    small.run("create schema bolt").await;
    let imported = provision::import(&small.fleet, &bolt, &main_shard()).await;
    let error = imported.unwrap_err().to_string();
    assert!(error.contains("acme is being renamed to bolt"), "{error}");
    assert_eq!(registered(&small, "bolt").await, None);
}

#[tokio::test]
async fn a_tenant_whose_tables_are_in_use_is_said_to_be_and_not_retired() {
    let mut small = small(1).await;
    small.add("acme").await;
    small.fleet.limits.lock_timeout = std::time::Duration::from_millis(50);
    small.fleet.limits.lock_tries = 2;
    let mut application = small.connect().await;
    sqlx::raw_sql("begin; select * from acme.t1")
        .execute(&mut application)
        .await
        .unwrap();
    let error = provision::retire(&small.fleet, &name("acme"))
        .await
        .unwrap_err();
    assert!(matches!(error, ProvisionError::InUse(_)), "{error}");
    assert_eq!(small.tables("acme").await, ["t1"]);
    sqlx::raw_sql("rollback")
        .execute(&mut application)
        .await
        .unwrap();
    provision::retire(&small.fleet, &name("acme"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_aggregate_is_in_the_way_of_no_repeatable_and_no_tenant() {
    let set = Written::new(&[(
        "mysum",
        "create aggregate mysum(int) (sfunc = int4pl, stype = int, initcond = '0');",
        Some("drop aggregate mysum(int);"),
    )]);
    set.write(
        "tenant/functions/f.sql",
        "create or replace function f() returns int language sql as 'select 1';",
    );
    let scope = set.verify().await;
    assert!(scope.is_ok(), "{scope:#?}");
    assert!(scope.second_tenant.is_some());
}
