//! A fleet moved end to end: shared first, then the tenants, and back.

use std::path::PathBuf;

use tenantry::{
    config::{MaxFailures, Settings},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    provision,
    rollout::{Report, Request, travel},
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, database};

const UP: &[Scope] = &[Scope::Shared, Scope::Tenant];
const DOWN: &[Scope] = &[Scope::Tenant, Scope::Shared];

/// The sample fleet on a database of its own.
fn fleet(database: &Database) -> Fleet {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let list = |name: &str| root.join(name).display().to_string();
    let environment = [
        ("TENANTRY__HOME__URL", database.url.clone()),
        ("TENANTRY__MIGRATIONS__SHARED", list("migrations")),
        ("TENANTRY__MIGRATIONS__TENANT", list("tenant_migrations")),
    ];
    Fleet::open(&Settings::load(None, environment).unwrap()).unwrap()
}

async fn go(fleet: &Fleet, goal: Goal, scopes: &[Scope]) -> Report {
    let request = Request {
        goal,
        scopes,
        select: &|_| true,
        max_failures: MaxFailures::Count(0),
    };
    travel(fleet, &request, &CancellationToken::new(), &())
        .await
        .unwrap()
}

#[tokio::test]
async fn up_and_down_and_up_again() {
    let database = database().await;
    let fleet = fleet(&database);
    let shard = ShardName::new("main");
    let up = go(&fleet, Goal::Latest, UP).await;
    assert!(up.is_complete(), "{up:#?}");
    assert_eq!(up.scopes[0].migrations(), fleet.shared.migrations.len());
    for name in ["acme", r#"we"ird; drop schema public cascade--"#] {
        provision::add(
            &fleet,
            &TenantName::new(name).unwrap(),
            &shard,
            &Labels::new(),
        )
        .await
        .unwrap();
    }
    let nothing = go(&fleet, Goal::Latest, UP).await;
    assert_eq!(
        (nothing.scopes[1].current, nothing.scopes[1].runs.len()),
        (2, 0),
        "{nothing:#?}"
    );

    let down = go(&fleet, Goal::Empty, DOWN).await;
    assert!(down.is_complete(), "{down:#?}");
    assert_eq!(
        down.scopes[0].migrations(),
        2 * fleet.tenant.migrations.len()
    );
    let again = go(&fleet, Goal::Latest, UP).await;
    assert!(again.is_complete(), "{again:#?}");
    let redo = go(&fleet, Goal::Redo, &[Scope::Tenant]).await;
    assert_eq!(redo.scopes[0].migrations(), 4, "{redo:#?}");
}
