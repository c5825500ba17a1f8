//! A fleet moved end to end: shared first, then the tenants, and back.

use tenantry::{
    migration::Scope,
    plan::Goal,
    provision,
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
};

use crate::support::{
    database,
    fleet::{DOWN, UP, go, sample},
};

#[tokio::test]
async fn up_and_down_and_up_again() {
    let database = database().await;
    let fleet = sample(&database.url);
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
