use sqlx::{Connection, PgConnection};

use crate::support::{
    database,
    proxy::{Proxy, Traffic},
    server,
};

#[tokio::test]
async fn databases_are_empty_and_apart() {
    let (one, other) = (database().await, database().await);
    let mut connection = one.connect().await;
    sqlx::raw_sql("CREATE TABLE mark ()")
        .execute(&mut connection)
        .await
        .unwrap();
    let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let here: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let there: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut other.connect().await)
        .await
        .unwrap();
    assert_eq!((here, there), (1, 0));
}

#[tokio::test]
async fn the_server_says_where_it_came_from() {
    assert!(["container", "local", "download", "url"].contains(&server().await.kind()));
}

#[tokio::test]
async fn the_proxy_counts_what_passes() {
    let database = database().await;
    let proxy = Proxy::start(&database.url).await;
    let mut connection = PgConnection::connect(&proxy.url_for(&database.url))
        .await
        .unwrap();
    proxy.reset();

    // Several statements in one simple message are one round trip …
    sqlx::raw_sql("SELECT 1; SELECT 2; SELECT 3")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        proxy.traffic(),
        Traffic {
            round_trips: 1,
            messages: b"Q".to_vec()
        }
    );

    // … and three messages are three.
    proxy.reset();
    for _ in 0..3 {
        sqlx::raw_sql("SELECT 1")
            .execute(&mut connection)
            .await
            .unwrap();
    }
    assert_eq!(
        proxy.traffic(),
        Traffic {
            round_trips: 3,
            messages: b"QQQ".to_vec()
        }
    );
}
