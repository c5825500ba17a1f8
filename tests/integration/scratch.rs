//! Scratch servers: they are as asked for, and nothing of them is left.

use sqlx::{Connection, PgConnection};
use tenantry::{
    sql::Ident,
    verify::scratch::{ScratchError, Server, Source},
};

use crate::support::{
    database,
    held::Held,
    options,
    proxy::{Proxy, Traffic},
    server, tenantry,
    traces::{Traces, startable},
    until,
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
async fn the_source_that_is_forced_is_used() {
    if let Some(forced) = Source::from_environment().unwrap() {
        assert_eq!(server().await.kind(), forced.kind());
    }
}

#[tokio::test]
async fn settings_reach_the_server() {
    for source in startable().await {
        let options = options()
            .max_connections(17)
            .setting("cluster_name", "it's");
        let server = Server::start(&options.sources([source])).await.unwrap();
        let mut connection = PgConnection::connect(server.url()).await.unwrap();
        let settings: (String, String, String) = sqlx::query_as(
            "SELECT current_setting('max_connections'), current_setting('cluster_name'), current_setting('fsync')",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(settings, ("17".into(), "it's".into(), "off".into()));
        connection.close().await.unwrap();
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_stopped_server_leaves_nothing() {
    for source in startable().await {
        let server = Server::start(&options().sources([source])).await.unwrap();
        let traces = Traces::of(server.url()).await;
        assert!(!traces.gone().await);
        server.stop().await.unwrap();
        assert!(traces.gone().await, "{traces:?}");
    }
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    for source in startable().await {
        let server = Server::start(&options().sources([source])).await.unwrap();
        let traces = Traces::of(server.url()).await;
        drop(server);
        until("everything is gone", async || traces.gone().await).await;
    }
}

#[tokio::test]
async fn a_killed_process_leaves_nothing() {
    for source in startable().await {
        let held = Held::start(source.kind());
        let traces = Traces::of(&held.url).await;
        held.kill();
        until("everything is gone", async || traces.gone().await).await;
    }
}

#[tokio::test]
async fn an_interrupted_process_leaves_nothing() {
    for source in startable().await {
        let held = Held::start(source.kind());
        let traces = Traces::of(&held.url).await;
        held.interrupt();
        until("everything is gone", async || traces.gone().await).await;
    }
}

#[tokio::test]
async fn a_server_of_others_keeps_no_database_of_ours() {
    let url = server().await.url();
    let borrowed = Server::start(&options().sources([Source::Url(url.into())]))
        .await
        .unwrap();
    let name = Ident::new(format!("test \"borrowed\" {}", std::process::id())).unwrap();
    let database = borrowed.create_database(&name).await.unwrap();
    // Somebody is still connected, which must not hinder.
    let connection = PgConnection::connect(&database).await.unwrap();
    borrowed.stop().await.unwrap();
    drop(connection);

    let mut connection = PgConnection::connect(url).await.unwrap();
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name.as_str())
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(found, 0);
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    if !startable().await.contains(&Source::Local) {
        return;
    }
    let options = options()
        .sources([Source::Local])
        .setting("shared_preload_libraries", "absent");
    let error = Server::start(&options).await.unwrap_err();
    assert!(matches!(error, ScratchError::Program { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("could not access file \"absent\""),
        "{error}"
    );
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

/// The URL of the tests' server for a new role with these rights, and `verify` of the shared sample set there.
async fn verified_as(role: &str, rights: &str) -> std::process::Output {
    let server = server().await;
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    let made = format!("CREATE ROLE {role} LOGIN PASSWORD 'secret' {rights}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(made))
        .execute(&mut connection)
        .await
        .unwrap();
    let (scheme, rest) = server.url().split_once("://").unwrap();
    let (_, place) = rest.rsplit_once('@').unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = tenantry();
    command
        .args(["verify", "--scope", "shared", "--server"])
        .arg(format!("{scheme}://{role}:secret@{place}"))
        .env("TENANTRY__MIGRATIONS__SHARED", format!("{root}/migrations"))
        .env(
            "TENANTRY__MIGRATIONS__TENANT",
            format!("{root}/tenant_migrations"),
        );
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT datname::text FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE r.rolname = $1",
    )
    .bind(role)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(left, [""; 0]);
    output
}

#[tokio::test]
async fn a_role_that_may_create_databases_needs_no_other_right() {
    let output = verified_as("tenantry_maker", "CREATEDB").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test]
async fn a_role_that_may_not_create_databases_is_told_so() {
    let output = verified_as("tenantry_nobody", "").await;
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("ALTER ROLE \"tenantry_nobody\" CREATEDB"),
        "{said}"
    );
}

#[tokio::test]
async fn a_database_is_copied_though_a_session_was_forgotten_there() {
    let server = server().await;
    let name = |what: &str| Ident::new(format!("{what}_{}", std::process::id())).unwrap();
    let (original, copy) = (name("copied_from"), name("copied_to"));
    let url = server.create_database(&original).await.unwrap();
    let forgotten = PgConnection::connect(&url).await.unwrap();
    server.copy_database(&copy, &original).await.unwrap();
    drop(forgotten);
    for database in [copy, original] {
        server.drop_database(&database).await.unwrap();
    }
}
