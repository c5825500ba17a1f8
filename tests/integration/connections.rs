//! What a connection starts from, how long it is used, and how much is asked of it in a second.

use std::time::{Duration, Instant};

use tenantry::{migration::Scope, plan::Goal, postgres::Shards, travel::travel};
use tokio_util::sync::CancellationToken;

use crate::support::{Small, fleet::all_to, small, until};

/// Six tenants whose only migration remembers which of the server's processes carried it.
async fn remembering() -> Small {
    let small = small(0).await;
    for number in 1..=6 {
        small.import(&format!("tenant{number}")).await;
    }
    small.write(
        "tenant/1-pid.up.sql",
        "create table pid as select pg_backend_pid() as pid;",
    );
    small.write("tenant/1-pid.down.sql", "drop table pid;");
    small.reopened()
}

/// By how many of the server's processes the six were carried.
async fn processes(small: &Small) -> i64 {
    let all: Vec<_> = (1..=6)
        .map(|number| format!("select pid from tenant{number}.pid"))
        .collect();
    let count = format!("select count(*) from ({}) all_pids", all.join(" union "));
    sqlx::query_scalar(sqlx::AssertSqlSafe(count))
        .fetch_one(&mut small.connect().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_connection_that_has_touched_enough_is_made_anew() {
    for (relations, connections) in [(u64::MAX, 1), (1, 6)] {
        let mut small = remembering().await;
        small.fleet.at_once(1);
        small.fleet.limits.relations = relations;
        small.fleet.limits.group_time = Duration::ZERO;
        assert!(small.go(Goal::Latest).await.is_complete());
        assert_eq!(processes(&small).await, connections, "{relations}");
    }
}

/// With so many statements a second and shard, one tenant after the other.
fn paced(small: &mut Small, statements: u32) {
    let shards = &small.fleet.shards;
    let paced = shards.iter().cloned().map(|shard| shard.pace(statements));
    small.fleet.shards = Shards::new(shards.home().clone(), paced);
    small.fleet.at_once(1);
}

#[tokio::test]
async fn no_more_statements_a_second_than_are_allowed() {
    let mut small = remembering().await;
    paced(&mut small, 4);
    let start = Instant::now();
    assert!(small.go(Goal::Latest).await.is_complete());
    // The first at once, the other five a quarter of a second each.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1200), "{took:?}");
}

#[tokio::test]
async fn who_asks_to_stop_does_not_wait_for_a_turn() {
    let mut small = remembering().await;
    // At one a second the first tenant alone would take longer than anybody waits.
    let many = "select 1;\n".repeat(600);
    small.write("tenant/2-many.up.sql", &many);
    small.write("tenant/2-many.down.sql", &many);
    small = small.reopened();
    paced(&mut small, 1);
    let stop = CancellationToken::new();
    let request = all_to(Goal::Latest, &[Scope::Tenant]);
    let stopping = async {
        let mut connection = small.connect().await;
        // The scripts are stored just before the first tenant's turn.
        until("the first one waits", async || {
            let stored = "select count(*) from tenantry.scripts";
            let count = sqlx::query_scalar(stored).fetch_one(&mut connection);
            let count: i64 = count.await.unwrap();
            count > 0
        })
        .await;
        stop.cancel();
    };
    let travelling = travel(&small.fleet, &request, &stop, &());
    let both = async { futures::join!(travelling, stopping).0.unwrap() };
    let report = tokio::time::timeout(Duration::from_secs(60), both).await;
    let report = report.expect("it waits for its turn");
    assert!(report.stopped);
    let done = report.scopes[0].done();
    assert!(done <= 1, "{done} were begun");
    assert_eq!(report.scopes[0].not_started(), 6 - done);
}

#[tokio::test]
async fn a_session_starts_from_settings_of_its_own() {
    let small = small(0).await;
    let shard = small.fleet.shards.iter().next().unwrap();
    let mut session = shard.connect().await.unwrap();
    assert!(!session.is_pooled());
    for (setting, value) in [
        ("client_connection_check_interval", "1s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("search_path", ""),
        ("standard_conforming_strings", "on"),
        ("tcp_keepalives_count", "3"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        // As the server reads it from its socket.
        ("tcp_user_timeout", "20000"),
        ("TimeZone", "UTC"),
    ] {
        let query = "select current_setting($1)";
        let found: String = sqlx::query_scalar(query)
            .bind(setting)
            .fetch_one(session.connection())
            .await
            .unwrap();
        assert_eq!(found, value, "{setting}");
    }
    session.close().await;
}
