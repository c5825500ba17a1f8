//! How many statements a second are begun on a shard, by all daemons together.

use crate::support::{
    rollouts::{ALL_AT_ONCE, MINUTE, daemon, fleet, json, number},
    until_within,
};

#[tokio::test]
async fn daemons_share_what_may_be_begun_a_second() {
    let small = fleet(60).await;
    let pace = [
        ("TENANTRY__APPLY__DDL_PER_SECOND", "20"),
        ("TENANTRY__APPLY__GROUP_TIME", "0s"),
    ];
    let mut connection = small.connect().await;
    let _first = daemon(&small, &pace);
    let lives = "select count(*) from tenantry.daemons";
    until_within(MINUTE, "the first lives", async || {
        // Until then the tables are not there.
        let are_there = "select count(*) from pg_tables where schemaname = 'tenantry' and tablename = 'daemons'";
        number(&mut connection, are_there).await == 1 && number(&mut connection, lives).await == 1
    })
    .await;
    let _second = daemon(&small, &pace);
    // It has said once more that it lives since the other one came, and was told of that one.
    let knows = "select count(*) from tenantry.daemons a join tenantry.daemons b on a.id < b.id
                  where a.expires_at > b.started_at + interval '2 s'";
    until_within(MINUTE, "the first knows the second", async || {
        number(&mut connection, knows).await == 1
    })
    .await;
    let start = [&ALL_AT_ONCE[..], &["--wait"]].concat();
    let (code, shown) = json(&small, &start);
    assert_eq!(code, 0, "{shown}");
    let took = "select (extract(epoch from max(started_at) - min(started_at)) * 1000)::bigint from tenantry.history";
    let took = number(&mut connection, took).await;
    // Each begins ten a second; if each had all of it, it were half the time.
    assert!(took >= 2500, "{took} ms");
}
