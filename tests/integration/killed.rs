//! What a killed client leaves behind: nothing that goes on without it.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::support::{self, Shop};

/// How long the statement of a client that is no more may still run.
const LINGERS: Duration = Duration::from_secs(2);

const SESSIONS: &str = "select count(*) = 0 from pg_stat_activity
                         where datname = current_database() and application_name = 'tenantry'";

fn up(shop: &Shop) -> Child {
    support::tenantry()
        .args(["up", "--concurrency", "2"])
        .current_dir(shop.path())
        .env("TENANTRY__HOME__URL", &shop.database.url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// SIGKILL, and then nothing of it is on the server any more.
async fn kill(shop: &Shop, mut up: Child) {
    up.kill().unwrap();
    up.wait().unwrap();
    let killed = Instant::now();
    shop.wait_for(SESSIONS).await;
    let lingered = killed.elapsed();
    assert!(lingered < LINGERS, "{lingered:?}");
}

async fn nobody_has_moved(shop: &Shop) {
    shop.wait_for("select bool_and(version = '1' and dirty_version is null) from tenantry.heads")
        .await;
    shop.wait_for("select count(*) = 0 from pg_attribute where attname = 'late'")
        .await;
}

/// All of it, and once.
async fn the_next_one_finds_the_truth(shop: &Shop) {
    let ran = shop.run(&["up"]);
    assert_eq!(ran.code, 0, "{}", ran.screen());
    shop.wait_for("select count(*) = 2 from pg_attribute where attname = 'late'")
        .await;
    shop.wait_for("select count(*) = 2 from tenantry.history where version = '2'")
        .await;
}

#[tokio::test]
async fn a_statement_in_the_middle_does_not_commit_behind_our_back() {
    let shop = Shop::with(&["acme", "blue"]).await;
    let up_text = "ALTER TABLE users ADD COLUMN late int;\nSELECT pg_sleep(600);\n";
    let down_text = "ALTER TABLE users DROP COLUMN late;\n";
    shop.migration(2, "late", up_text, down_text);
    let running = up(&shop);
    shop.wait_for(
        "select count(*) = 2 from pg_stat_activity
          where datname = current_database() and application_name = 'tenantry' and wait_event = 'PgSleep'",
    )
    .await;
    kill(&shop, running).await;
    nobody_has_moved(&shop).await;

    let quick = up_text.replace("600", "0");
    shop.migration(2, "late", &quick, down_text);
    the_next_one_finds_the_truth(&shop).await;
}

#[tokio::test]
async fn a_statement_that_waits_is_not_carried_out_once_the_lock_is_free() {
    let shop = Shop::with(&["acme", "blue"]).await;
    shop.migration(
        2,
        "late",
        "-- tenantry: lock-timeout=10min\nALTER TABLE users ADD COLUMN late int;\n",
        "ALTER TABLE users DROP COLUMN late;\n",
    );
    let mut reader = shop.database.connect().await;
    sqlx::raw_sql("begin; lock table acme.users, blue.users in access share mode")
        .execute(&mut reader)
        .await
        .unwrap();
    let running = up(&shop);
    shop.wait_for(
        "select count(*) = 2 from pg_locks l join pg_database d on d.oid = l.database
          where d.datname = current_database() and not l.granted",
    )
    .await;
    kill(&shop, running).await;
    drop(reader);
    nobody_has_moved(&shop).await;
    the_next_one_finds_the_truth(&shop).await;
}
