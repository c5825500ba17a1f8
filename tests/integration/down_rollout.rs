//! `down --rollout`: what a rollout has changed, taken back by one process.

use crate::support::{
    Small,
    rollouts::{daemon, fleet, json},
};

/// A fleet of which one tenant lagged behind the others, moved by a rollout together with the shared schema.
async fn moved() -> Small {
    let small = fleet(4).await;
    small
        .tenantry(&["up", "tenant_1,tenant_2,tenant_3"])
        .assert()
        .success();
    small.write("shared/2-plans.up.sql", "create table plans ();");
    small.write("shared/2-plans.down.sql", "drop table plans;");
    small.write("tenant/3-more.up.sql", "create table more ();");
    small.write("tenant/3-more.down.sql", "drop table more;");
    assert_eq!(json(&small, &["rollout", "start", "--canaries", "0"]).0, 0);
    // Nobody takes away the work of daemons.
    let (code, told) = json(&small, &["down", "--all", "--rollout", "1", "--yes"]);
    assert_eq!(code, 1, "{told}");
    let told = told.to_string();
    assert!(told.contains("rollout 1 is waiting"), "{told}");
    assert!(
        told.contains("`tenantry rollout rollback` has the daemons"),
        "{told}"
    );
    let _daemon = daemon(&small, &[]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(small.tables("tenant_4").await, ["more", "t1"]);
    small
}

async fn plans(small: &Small) -> usize {
    let all = "select count(*) from pg_tables where tablename = 'plans'";
    let all: i64 = sqlx::query_scalar(all)
        .fetch_one(&mut small.connect().await)
        .await
        .unwrap();
    usize::try_from(all).unwrap()
}

#[tokio::test]
async fn each_goes_back_to_where_the_rollout_found_it_and_the_shared_schema_last() {
    let small = moved().await;
    // Moved by somebody since.
    small.write("tenant/4-own.up.sql", "create table own ();");
    small.write("tenant/4-own.down.sql", "drop table own;");
    small.tenantry(&["up", "tenant_3"]).assert().success();

    for incomplete in [
        &["down", "--rollout", "1"][..],
        &["down", "--all", "--rollout", "1", "--steps", "1"],
    ] {
        assert_eq!(json(&small, incomplete).0, 2);
    }
    let (code, report) = json(&small, &["down", "tenant_1", "--rollout", "1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(small.tables("tenant_1").await, ["t1"]);
    assert_eq!(small.tables("tenant_2").await, ["more", "t1"]);

    let (code, report) = json(&small, &["down", "--all", "--rollout", "1", "--yes"]);
    assert_eq!(code, 1, "{report}");
    let blocked = &report["scopes"][0]["blocked"];
    assert_eq!(blocked.as_array().unwrap().len(), 1, "{report}");
    assert_eq!(blocked[0]["target"]["schema"], "tenant_3");
    assert_eq!(blocked[0]["kind"], "moved_since");
    assert_eq!(small.tables("tenant_2").await, ["t1"]);
    assert_eq!(small.tables("tenant_4").await, [""; 0]);
    assert_eq!(plans(&small).await, 1, "tenant_3 may need it");

    small
        .tenantry(&["down", "tenant_3", "--steps", "1", "--yes"])
        .assert()
        .success();
    for _ in 0..2 {
        // The second time nothing is left to do.
        let (code, report) = json(&small, &["down", "--all", "--rollout", "1", "--yes"]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(small.tables("tenant_3").await, ["t1"]);
        assert_eq!(plans(&small).await, 0);
    }
    let (_, shown) = json(&small, &["rollout", "show", "1"]);
    let events = shown["events"].as_array().unwrap().iter();
    let told = events.filter(|event| event["action"] == "down --rollout");
    assert_eq!(told.count(), 4, "{shown}");
    let (code, told) = json(&small, &["down", "--all", "--rollout", "7", "--yes"]);
    assert_eq!(code, 2, "{told}");
}

#[tokio::test]
async fn the_shared_schema_is_not_taken_from_under_who_came_since() {
    let small = moved().await;
    assert_eq!(json(&small, &["tenant", "add", "late"]).0, 0);
    let back = ["down", "--all", "--rollout", "1", "--yes"];
    let (code, told) = json(&small, &back);
    assert_ne!(code, 0, "{told}");
    assert!(
        told.to_string()
            .contains("that do not go back themselves: late"),
        "{told}"
    );
    assert_eq!(small.tables("tenant_1").await, ["more", "t1"]);
    let only = ["--scope", "tenant", "--events", "events"];
    let (code, report) = json(&small, &[&back[..], &only].concat());
    assert_eq!(code, 0, "{report}");
    let goal = r#""goal":{"kind":"before_rollout","rollout":1}"#;
    let events = small.read("events");
    assert!(events.contains(goal), "{events}");
    assert_eq!(small.tables("tenant_1").await, ["t1"]);
    assert_eq!(small.tables("late").await, ["more", "t1"]);
    assert_eq!(plans(&small).await, 1);
}

#[tokio::test]
async fn what_others_have_applied_is_not_taken_back_though_it_is_the_same() {
    let small = moved().await;
    // What the rollout did is taken back by hand, and somebody else does it again.
    let by_hand = ["down", "tenant_2", "--steps", "1", "--yes"];
    assert_eq!(json(&small, &by_hand).0, 0);
    small.tenantry(&["up", "tenant_2"]).assert().success();
    for selector in ["tenant_2", "--all"] {
        let (code, report) = json(&small, &["down", selector, "--rollout", "1", "--yes"]);
        assert_eq!(code, 1, "{report}");
        let blocked = report["scopes"][0]["blocked"].as_array().unwrap();
        assert_eq!(blocked.len(), 1, "{report}");
        assert_eq!(blocked[0]["target"]["schema"], "tenant_2", "{report}");
        assert_eq!(blocked[0]["kind"], "moved_since", "{report}");
        assert_eq!(small.tables("tenant_2").await, ["more", "t1"]);
    }
    for (tenant, tables) in [("tenant_1", &["t1"][..]), ("tenant_4", &[])] {
        assert_eq!(small.tables(tenant).await, tables);
    }
    assert_eq!(plans(&small).await, 1, "tenant_2 may need it");
    // Taken back by hand, there is nothing of it in its way any more.
    assert_eq!(json(&small, &by_hand).0, 0);
    let (code, report) = json(&small, &["down", "--all", "--rollout", "1", "--yes"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(plans(&small).await, 0);
}
