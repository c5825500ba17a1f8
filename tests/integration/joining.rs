//! How far new tenants are built while the fleet is not where the files are: contracts that nobody has released, rollouts
//! that are taken back.

use serde_json::Value;
use tenantry::{
    provision::{self, By},
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Ran, Several, Shop, Small,
    rollouts::{Daemon, daemon, fleet, json, until_number},
    server, small,
};

/// A fleet at 2, with a contract that is 3 in the files.
async fn before_a_contract(tenants: usize) -> Small {
    let small = fleet(tenants).await;
    small.write("tenant/2-more.up.sql", "create table more ();");
    small.write("tenant/2-more.down.sql", "drop table more;");
    small.tenantry(&["up"]).assert().success();
    small.write(
        "tenant/3-drop.up.sql",
        "-- tenantry: phase=contract\ndrop table t1;",
    );
    small.write("tenant/3-drop.down.sql", "create table t1 ();");
    small.reopened()
}

fn add(small: &Small, name: &str) -> Value {
    let (code, added) = json(small, &["tenant", "add", name]);
    assert_eq!(code, 0, "{added}");
    // It is told where it stands, not where the files go.
    let (_, shown) = json(small, &["tenant", "show", name]);
    assert_eq!(added["version"], shown["version"], "{added}");
    added
}

#[tokio::test]
async fn a_new_tenant_waits_for_a_contract_until_the_word_is_said() {
    let small = before_a_contract(2).await;
    small.write("tenant/4-last.up.sql", "create table last ();");
    small.write("tenant/4-last.down.sql", "drop table last;");
    assert_eq!(add(&small, "acme")["version"], "2");
    let text = small.text(&["tenant", "add", "also"]);
    assert!(text.contains("on shard main, at 2, in "), "{text}");
    assert_eq!(small.tables("acme").await, ["more", "t1"]);
    // A rollout that nobody has planned says no more than the files do.
    assert_eq!(json(&small, &["rollout", "start"]).0, 0);
    add(&small, "blue");
    assert_eq!(small.tables("blue").await, ["more", "t1"]);
    assert_eq!(json(&small, &["release", "ack", "3"]).0, 0);
    add(&small, "corp");
    assert_eq!(small.tables("corp").await, ["last", "more"]);
    // What the rollout does is what its new tenants get: here it waits, whatever was said.
    small
        .run(
            "update tenantry.rollouts set state = 'running', reach = '2', begun_at = now(), targets = 4,
                                          targets_hash = decode(repeat('00', 32), 'hex')",
        )
        .await;
    add(&small, "dent");
    assert_eq!(small.tables("dent").await, ["more", "t1"]);
}

#[tokio::test]
async fn what_up_has_brought_to_all_new_tenants_get_without_word() {
    let small = before_a_contract(2).await;
    small.tenantry(&["up", "tenant_1"]).assert().success();
    add(&small, "acme");
    assert_eq!(small.tables("acme").await, ["more", "t1"]);
    small.tenantry(&["up"]).assert().success();
    add(&small, "blue");
    assert_eq!(small.tables("blue").await, ["more"]);
    // Taken back in one, it is to come again; by the history, whatever is above it.
    small
        .tenantry(&["down", "tenant_1", "--steps", "1", "--yes"])
        .assert()
        .success();
    add(&small, "corp");
    assert_eq!(small.tables("corp").await, ["more", "t1"]);
}

#[tokio::test]
async fn the_first_tenant_of_a_fleet_gets_all_that_the_files_have() {
    let small = before_a_contract(0).await;
    for name in ["acme", "blue"] {
        add(&small, name);
        assert_eq!(small.tables(name).await, ["more"]);
    }
}

#[tokio::test]
async fn on_a_shard_without_tenants_it_is_the_others_that_count() {
    let mut several = Several::with(&[("eu1", 1), ("us1", 0)]).await;
    let contract = "-- tenantry: phase=contract\ndrop table users";
    several.migration("tenant/2-drop", contract, "create table users ()");
    let add = |several: &Several, name: &str| {
        let added = several.run(&["tenant", "add", name, "--shard", "us1"]);
        assert_eq!(added.code, 0, "{}", added.screen());
    };
    add(&several, "us1_1");
    assert_eq!(several.versions("us1").await, [Some("1".to_owned())]);
    let retired = several.run(&["tenant", "retire", "us1_1", "--yes"]);
    assert_eq!(retired.code, 0, "{}", retired.screen());
    // Who cannot be asked may have somebody.
    several.away(&["eu1"]);
    add(&several, "us1_2");
    assert_eq!(several.versions("us1").await, [Some("1".to_owned())]);
}

#[tokio::test]
async fn schemas_are_built_ahead_as_far_as_new_tenants_may_go() {
    let mut small = before_a_contract(1).await;
    (
        small.fleet.provision.pool_min,
        small.fleet.provision.pool_max,
    ) = (1, 1);
    let keep = async || {
        let shard = small.fleet.shards.iter().next().unwrap();
        let kept = provision::keep(&small.fleet, shard, &CancellationToken::new()).await;
        kept.unwrap().unwrap()
    };
    let add = async |name: &str| {
        let (name, main) = (TenantName::new(name).unwrap(), ShardName::new("main"));
        let added = provision::add(&small.fleet, &name, &main, &Labels::new()).await;
        added.unwrap().built
    };
    assert_eq!(keep().await.made, 1);
    assert_eq!(add("acme").await, By::Pool);
    assert_eq!(small.tables("acme").await, ["more", "t1"]);
    assert_eq!(keep().await.made, 1);
    assert_eq!(json(&small, &["release", "ack", "3"]).0, 0);
    // It is not where a new tenant would be any more.
    assert_eq!(add("blue").await, By::Migrations);
    assert_eq!(small.tables("blue").await, ["more"]);
    assert_eq!(keep().await.moved, 1);
    assert_eq!(add("corp").await, By::Pool);
    assert_eq!(small.tables("corp").await, ["more"]);
}

#[tokio::test]
async fn a_file_of_the_structure_builds_nobody_who_may_not_go_so_far() {
    let shop = Shop::with(&["acme"]).await;
    shop.write(
        "tenantry.toml",
        "[migrations]\nstructure = \"structure.tenant.sql\"\n",
    );
    let url = server().await.url();
    let run = |arguments: &[&str]| -> Ran {
        let ran = shop.run(arguments);
        assert_eq!(ran.code, 0, "{}", ran.screen());
        ran
    };
    let built = |name: &str| {
        let added = run(&["tenant", "add", name, "--output", "json"]).json();
        assert_eq!(added["not_built_from_structure"], Value::Null, "{added}");
        added["built_by"].as_str().unwrap().to_owned()
    };
    run(&["up"]);
    run(&["dump", "--server", url]);
    let contract = "-- tenantry: phase=contract\nDROP TABLE users;\n";
    shop.migration(2, "drop", contract, "CREATE TABLE users ();\n");
    // The file stands before the contract, and so does the tenant.
    assert_eq!(built("blue"), "structure");
    run(&["dump", "--server", url]);
    assert_eq!(built("corp"), "migrations");
    run(&["release", "ack", "2"]);
    assert_eq!(built("dent"), "structure");
    let versions = ["blue", "corp", "dent"].map(|name| {
        let shown = run(&["tenant", "show", name, "--output", "json"]).json();
        shown["version"].as_str().unwrap().to_owned()
    });
    assert_eq!(versions, ["1", "1", "2"]);
}

#[tokio::test]
async fn who_comes_while_it_is_taken_back_is_built_where_the_fleet_was_before() {
    let small = fleet(4).await;
    // One lags behind the others, and goes back to where it was.
    small
        .tenantry(&["up", "tenant_1,tenant_2,tenant_3"])
        .assert()
        .success();
    small.write("tenant/2-more.up.sql", "create table more ();");
    small.write("tenant/2-more.down.sql", "drop table more;");
    {
        let _daemon: Daemon = daemon(&small, &[]);
        let start = ["rollout", "start", "--canaries", "0", "--wait"];
        assert_eq!(json(&small, &start).0, 0);
    }
    let complete = "select count(*) from tenantry.rollouts where state = 'complete'";
    until_number(&small, "it is complete", complete, 1).await;
    add(&small, "done");
    assert_eq!(small.tables("done").await, ["more", "t1"]);
    // From the word on, and not only once a daemon has heard it.
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    add(&small, "early");
    assert_eq!(small.tables("early").await, ["t1"]);

    let mut application = small.connect().await;
    sqlx::raw_sql("begin; lock table tenant_2.more in access share mode")
        .execute(&mut application)
        .await
        .unwrap();
    let _daemon: Daemon = daemon(&small, &[]);
    let back =
        "select count(*) from tenantry.runs where keep_applied is not null and state = 'done'";
    until_number(&small, "the others are taken back", back, 3).await;
    add(&small, "late");
    assert_eq!(small.tables("late").await, ["t1"]);
    let (_, shown) = json(&small, &["rollout", "show"]);
    let joined = shown["joined"].as_array().unwrap().iter();
    let joined: Vec<_> = joined
        .map(|tenant| tenant["name"].as_str().unwrap())
        .collect();
    assert_eq!(joined, ["done", "early", "late"], "{shown}");
    let text = small.text(&["rollout", "show"]);
    let told = "in none of its waves, as added since it was planned: done, early, late";
    assert!(text.contains(told), "{text}");
    sqlx::raw_sql("rollback")
        .execute(&mut application)
        .await
        .unwrap();
    let (_, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(shown["state"], "complete", "{shown}");
    assert_eq!(small.tables("tenant_2").await, ["t1"]);
    assert_eq!(small.tables("tenant_4").await, [""; 0]);
}

#[tokio::test]
async fn where_most_stood_at_the_goal_before_new_tenants_stay_there() {
    let small = small(1).await;
    small.add("acme").await;
    small.add("blue").await;
    small.import("corp").await;
    {
        let _daemon = daemon(&small, &[]);
        let start = ["rollout", "start", "--canaries", "0", "--wait"];
        assert_eq!(json(&small, &start).0, 0);
    }
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    add(&small, "late");
    assert_eq!(small.tables("late").await, ["t1"]);
}
