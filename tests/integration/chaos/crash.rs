//! A server that crashes under a run and comes back.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tenantry::verify::scratch::{Purpose, Server};

use super::{
    checker::{Expect, check},
    ground::{Ground, IN_GROUPS, Trap},
};
use crate::support::{Database, options, until};

/// Kills one process of the server, which throws everybody out and recovers, as after an immediate restart. Returns when
/// it is back.
async fn crash(database: &Database) {
    let mut connection = database.connect().await;
    let before = checkpoint(database).await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let kill = format!("copy (select) to program 'kill -9 {pid}'");
    assert!(
        sqlx::raw_sql(AssertSqlSafe(kill))
            .execute(&mut connection)
            .await
            .is_err()
    );
    until("the server is back", async || {
        checkpoint(database).await.is_some_and(|now| now != before)
    })
    .await;
}

/// The last checkpoint; a recovery ends with one. None while nobody is let in.
async fn checkpoint(database: &Database) -> Option<String> {
    let mut connection = PgConnection::connect(&database.url).await.ok()?;
    sqlx::query_scalar("select checkpoint_lsn::text from pg_control_checkpoint()")
        .fetch_one(&mut connection)
        .await
        .ok()
}

#[tokio::test]
async fn a_run_survives_crashes_of_the_server() {
    // What it has confirmed must be there after the crash.
    let durable = options().purpose(Purpose::Durable);
    let server = Server::start(&durable).await.unwrap();
    let database = Database {
        url: server.url().to_owned(),
    };
    let mut ground = Ground::on(database, 12).await;
    ground.grow();
    ground.grow();
    ground.set(Trap::Half, 5).await;
    let up = ground.up();
    ground.caught(1).await;
    crash(&ground.database).await;
    // It comes back to the same tenant, and finds the same trap.
    ground.caught(1).await;
    ground.spring().await;
    let (code, said) = up.end().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(check(&ground, Expect::All).await, [""; 0]);

    // Killed together with its client, at the record.
    ground.grow();
    ground.set(Trap::Record, 7).await;
    let up = ground.up();
    ground.caught(1).await;
    crash(&ground.database).await;
    assert!(up.kill());
    ground.spring().await;
    ground.quiet().await;
    assert_eq!(check(&ground, Expect::AnyStep).await, [""; 0]);
    let (code, said) = ground.up().end().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(check(&ground, Expect::All).await, [""; 0]);

    // With several tenants in one transaction: each of them is gone back to alone.
    ground.grow_light();
    ground.set(Trap::Record, 7).await;
    let up = ground.up_with(&IN_GROUPS);
    ground.caught(1).await;
    assert!(ground.caught_in_group().await);
    crash(&ground.database).await;
    ground.caught(1).await;
    assert!(!ground.caught_in_group().await);
    ground.spring().await;
    let (code, said) = up.end().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(check(&ground, Expect::All).await, [""; 0]);
    server.stop().await.unwrap();
}
