//! Fleets to test with.

use std::path::{Path, PathBuf};

use tenantry::{
    config::{Portion, Settings},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    travel::{Report, Request, travel},
};
use tokio_util::sync::CancellationToken;

use super::Database;

/// Both scopes, in the order of the way up.
pub(crate) const UP: &[Scope] = &[Scope::Shared, Scope::Tenant];
/// Both scopes, in the order of the way back.
pub(crate) const DOWN: &[Scope] = &[Scope::Tenant, Scope::Shared];

/// The sample sets, reached by `url`.
pub(crate) fn sample(url: &str) -> Fleet {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    with_sets(
        url,
        &root.join("migrations"),
        &root.join("tenant_migrations"),
    )
}

/// These directories as sets, reached by `url`.
pub(crate) fn with_sets(url: &str, shared: &Path, tenant: &Path) -> Fleet {
    let environment = [
        ("TENANTRY__HOME__URL", url.to_owned()),
        ("TENANTRY__MIGRATIONS__SHARED", shared.display().to_string()),
        ("TENANTRY__MIGRATIONS__TENANT", tenant.display().to_string()),
    ];
    Fleet::open(&Settings::load(None, environment).unwrap()).unwrap()
}

/// All of the fleet to a goal.
pub(crate) async fn go(fleet: &Fleet, goal: Goal, scopes: &[Scope]) -> Report {
    travel(fleet, &all_to(goal, scopes), &CancellationToken::new(), &())
        .await
        .unwrap()
}

/// Registers `count` tenants with empty schemas at nothing applied, quicker than one by one.
pub(crate) async fn empty_tenants(database: &Database, fleet: &Fleet, count: usize) {
    fleet.home().await.unwrap().close().await;
    fleet
        .shard(fleet.shards.iter().next().unwrap())
        .await
        .unwrap()
        .close()
        .await;
    let mut connection = database.connect().await;
    sqlx::query("select set_config('test.count', $1, false)")
        .bind(count.to_string())
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::raw_sql(
        "do $$ declare name text; begin
             for number in 1 .. current_setting('test.count')::int loop
                 name := 'tenant_' || number;
                 execute format('create schema %I', name);
                 insert into tenantry.tenants (name, shard, state) values (name, 'main', 'active');
                 insert into tenantry.heads (schema_oid, schema_name) values (name::regnamespace, name);
                 -- A lock a schema is held to the end of a transaction.
                 if number % 500 = 0 then commit; end if;
             end loop;
         end $$",
    )
    .execute(&mut connection)
    .await
    .unwrap();
}

/// What `go` asks for: everybody, and not one may fail.
pub(crate) fn all_to(goal: Goal, scopes: &[Scope]) -> Request<'_> {
    Request {
        goal,
        scopes,
        select: &|_| true,
        max_failures: Portion::Count(0),
    }
}
