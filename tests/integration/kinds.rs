//! What the kind of a statement promises, asked of a server.

use sqlx::{AssertSqlSafe, PgConnection};
use tenantry::sql::{self, Kind};

use crate::support::database;

const GROUND: &str = "
    CREATE TYPE e AS ENUM ('a');
    CREATE TABLE t (a int PRIMARY KEY);
    CREATE INDEX i ON t (a);
    CREATE TABLE p (a int) PARTITION BY LIST (a);
    CREATE TABLE c PARTITION OF p FOR VALUES IN (1);
    CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
    CREATE UNIQUE INDEX n ON m (a);";

const STATEMENTS: &[&str] = &[
    "CREATE UNIQUE INDEX CONCURRENTLY j ON t (a)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX (VERBOSE, CONCURRENTLY) INDEX i",
    "REINDEX (VERBOSE) SCHEMA public",
    "ALTER TABLE p DETACH PARTITION c CONCURRENTLY",
    "VACUUM (ANALYZE) t",
    "CLUSTER",
    "CREATE DATABASE d",
    "DROP DATABASE IF EXISTS template_none",
    "CREATE TABLESPACE s LOCATION '/nowhere'",
    "DROP TABLESPACE IF EXISTS s",
    "ALTER SYSTEM SET work_mem = '4MB'",
    "ALTER DATABASE postgres SET TABLESPACE pg_default",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p",
    "CREATE INDEX j ON t (a)",
    "DROP INDEX i",
    "REINDEX TABLE t",
    "REINDEX (VERBOSE) INDEX i",
    "ALTER TABLE p DETACH PARTITION c",
    "CLUSTER t USING i",
    "ALTER DATABASE postgres SET work_mem = '4MB'",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "ALTER TYPE e ADD VALUE 'b'",
    "ANALYZE t",
    "SET CONSTRAINTS ALL DEFERRED",
    "SAVEPOINT s",
    "DISCARD PLANS",
];

#[tokio::test]
async fn no_transaction_takes_exactly_the_statements_of_that_kind() {
    let mut connection = database().await.connect().await;
    run(&mut connection, GROUND).await.unwrap();
    for statement in STATEMENTS {
        run(&mut connection, "BEGIN").await.unwrap();
        let error = run(&mut connection, statement).await.err();
        run(&mut connection, "ROLLBACK").await.unwrap();
        let expected = matches!(sql::kind(statement), Kind::NoTransaction(_)).then_some("25001");
        assert_eq!(error.as_deref(), expected, "{statement}");
    }
}

#[tokio::test]
async fn a_transaction_ends_exactly_with_transaction_control() {
    let mut connection = database().await.connect().await;
    for statement in [
        "COMMIT WORK",
        "END",
        "ROLLBACK",
        "ABORT TRANSACTION AND NO CHAIN",
        "ROLLBACK TO SAVEPOINT s",
        "ROLLBACK TRANSACTION TO s",
        "RELEASE s",
        "SET LOCAL lock_timeout = 1",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ] {
        let begin = "BEGIN; SET LOCAL application_name = 'inside'; SAVEPOINT s";
        run(&mut connection, begin).await.unwrap();
        run(&mut connection, statement).await.unwrap();
        let name: String = sqlx::query_scalar("SHOW application_name")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        run(&mut connection, "ROLLBACK").await.unwrap();
        let controls = matches!(sql::kind(statement), Kind::TransactionControl(_));
        assert_eq!(name != "inside", controls, "{statement}");
    }
}

#[tokio::test]
async fn a_setting_outlives_the_transaction_exactly_as_its_kind_says() {
    let mut connection = database().await.connect().await;
    for (statement, setting) in [
        ("SET lock_timeout = 7", "lock_timeout"),
        ("SET SESSION statement_timeout TO 7000", "statement_timeout"),
        ("SET LOCAL work_mem = '7MB'", "work_mem"),
        ("SET TIME ZONE 'Asia/Tokyo'", "timezone"),
        ("SET LOCAL TIME ZONE 'Asia/Seoul'", "timezone"),
        ("SET NAMES 'SQL_ASCII'", "client_encoding"),
        ("RESET lock_timeout", "lock_timeout"),
    ] {
        let before = show(&mut connection, setting).await;
        run(&mut connection, "BEGIN").await.unwrap();
        run(&mut connection, statement).await.unwrap();
        run(&mut connection, "COMMIT").await.unwrap();
        let outlives = show(&mut connection, setting).await != before;
        let session = matches!(sql::kind(statement), Kind::Session(_));
        assert_eq!(outlives, session, "{statement}");
    }
}

async fn show(connection: &mut PgConnection, setting: &str) -> String {
    let value = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
    value.fetch_one(connection).await.unwrap()
}

/// Runs a text; the error is its SQLSTATE.
async fn run(connection: &mut PgConnection, text: &str) -> Result<(), String> {
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await;
    let code = |error: sqlx::Error| {
        error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned()
    };
    done.map(|_| ()).map_err(code)
}
