use crate::support::{database, server};

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
