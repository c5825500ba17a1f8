//! Fingerprints of many schemas at once: they must not be equal where structures are not, and wait for nobody.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tenantry::{
    postgres::Connection as Ours,
    sql::Ident,
    store::{Part, install},
    structure::{Fingerprint, Limits, Looked, Snapshot, diff, fingerprints, snapshot},
};

use crate::support::{Database, database};

const EVERYTHING: &str = include_str!("../fixtures/structure/everything.sql");

/// What a database needs to have before.
const PREPARE: &str = include_str!("../fixtures/structure/prepare.sql");

/// Paragraphs: a change of the schema with everything, then what must be said of it, as comments.
const CHANGES: &str = include_str!("../fixtures/structure/changes.sql");

/// Few locks, so that what keeps them is read in several pieces.
const LIMITS: Limits = Limits {
    locks: 20,
    time: Duration::from_secs(60),
};

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

async fn connect(database: &Database) -> PgConnection {
    let mut ours = Ours::from(database.connect().await);
    install(&mut ours, &[Part::Shard]).await.unwrap();
    let mut conn = database.connect().await;
    run(&mut conn, PREPARE).await;
    conn
}

async fn run(conn: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .unwrap();
}

async fn create(conn: &mut PgConnection, name: &str, sql: &str) {
    let schema = ident(name);
    let sql = format!(
        "CREATE SCHEMA {schema}; SET search_path = {schema}, pg_catalog; {sql}; SET search_path = ''"
    );
    run(conn, &sql).await;
}

async fn looked(conn: &mut PgConnection, names: &[&str]) -> BTreeMap<String, Looked> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let oids: Vec<(String, i64)> = sqlx::query_as(
        "select nspname::text, oid::bigint from pg_namespace where nspname = any ($1)",
    )
    .bind(&names)
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let of = |oid: i64| u32::try_from(oid).unwrap();
    let all: Vec<u32> = oids.iter().map(|(_, oid)| of(*oid)).collect();
    let mut looked = fingerprints(conn, &all, LIMITS).await.unwrap();
    oids.into_iter()
        .map(|(name, oid)| (name, looked.remove(&of(oid)).unwrap()))
        .collect()
}

async fn one(conn: &mut PgConnection, name: &str) -> Fingerprint {
    looked(conn, &[name]).await.remove(name).unwrap().unwrap()
}

async fn exactly(conn: &mut PgConnection, name: &str) -> Snapshot {
    snapshot(conn, &ident(name)).await.unwrap()
}

#[tokio::test]
async fn schemas_made_alike_have_one_fingerprint_whatever_their_names() {
    let database = database().await;
    let mut conn = connect(&database).await;
    let names = [
        "acme",
        "globex",
        "Acme.Corp",
        r#"we"ird; drop schema public cascade--"#,
        r"back\slash",
        "über",
    ];
    for name in names {
        create(&mut conn, name, EVERYTHING).await;
    }
    // Nothing may depend on what the session has set.
    run(
        &mut conn,
        "SET quote_all_identifiers = on; SET datestyle = 'German'; CREATE TEMP TABLE users ()",
    )
    .await;
    let looked = looked(&mut conn, &names).await;
    let acme = looked["acme"].as_ref().unwrap();
    let snapshot = exactly(&mut conn, "acme").await;
    assert_eq!(acme.objects(), snapshot.objects().count() as u64);
    for (name, looked) in &looked {
        let fingerprint = looked.as_ref().unwrap();
        assert_eq!(acme.differing(fingerprint), [], "{name}");
        assert_eq!(acme.digest(), fingerprint.digest(), "{name}");
    }
}

#[tokio::test]
async fn an_odd_name_makes_another_fingerprint_and_the_exact_look_decides() {
    const SERIAL: &str = "CREATE TABLE orders (id serial)";
    let database = database().await;
    let mut conn = connect(&database).await;
    create(&mut conn, "acme", SERIAL).await;
    create(&mut conn, "acme everything", EVERYTHING).await;
    create(&mut conn, "it's", SERIAL).await;
    // Tables, and what rules and triggers call the row before.
    for name in ["orders", "users", "old"] {
        create(&mut conn, name, EVERYTHING).await;
    }
    for (like, odd) in [
        ("acme", "it's"),
        ("acme everything", "orders"),
        ("acme everything", "users"),
        ("acme everything", "old"),
    ] {
        let differing = one(&mut conn, like)
            .await
            .differing(&one(&mut conn, odd).await);
        assert_ne!(differing, [], "{odd} is not so odd any more");
        let (like, odd) = (
            exactly(&mut conn, like).await,
            exactly(&mut conn, odd).await,
        );
        assert_eq!(diff(&like, &odd), []);
    }
}

#[tokio::test]
async fn every_change_that_a_snapshot_sees_changes_the_fingerprint() {
    let database = database().await;
    let mut conn = connect(&database).await;
    create(&mut conn, "acme", EVERYTHING).await;
    run(&mut conn, "SET search_path = acme, pg_catalog").await;
    let before = one(&mut conn, "acme").await;
    let mut changes = 0;
    for paragraph in CHANGES.split("\n\n").skip(1) {
        let sql: Vec<_> = paragraph
            .lines()
            .filter(|l| !l.starts_with("-- "))
            .collect();
        let mut transaction = conn.begin().await.unwrap();
        run(&mut transaction, &sql.join("\n")).await;
        let after = one(&mut transaction, "acme").await;
        transaction.rollback().await.unwrap();
        assert_ne!(before.digest(), after.digest(), "{paragraph}");
        changes += 1;
    }
    assert!(changes > 20, "{changes} changes");
    assert_eq!(one(&mut conn, "acme").await, before);
}

/// What one tenant has and the other has with its own name in it, where the name is no schema's: `{name}` is replaced.
const TRAPS: [&str; 14] = [
    "CREATE TABLE t (mail text DEFAULT '{name}.example')",
    "CREATE TABLE t (mail text CHECK (mail <> 'at {name}.example'))",
    "CREATE TABLE t (); COMMENT ON TABLE t IS '{name}.t'",
    "CREATE TABLE \"{name}.t\" ()",
    "CREATE TABLE t (\"{name}.c\" int); CREATE INDEX i ON t ((\"{name}.c\" + 1))",
    "CREATE TYPE t AS ENUM ('{name}.a', 'b')",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ select '{name}.f'::text $$",
    "CREATE FUNCTION f(a text DEFAULT '{name}.f') RETURNS text LANGUAGE sql AS 'select $1'",
    "CREATE VIEW v AS SELECT 'it''s {name}.x'::text AS x, \"q'\".\"q'\" FROM (SELECT 1) \"q'\" (\"q'\")",
    "CREATE TABLE t (a text); CREATE INDEX i ON t (a) WHERE a LIKE '{name}.%'",
    "CREATE TYPE t AS (a int); COMMENT ON COLUMN t.a IS '{name}.a'",
    "CREATE DOMAIN d AS text CONSTRAINT short CHECK (length(VALUE) < 9); COMMENT ON CONSTRAINT short ON DOMAIN d IS '{name}.d'",
    // Another schema, whose name ends as this one's does.
    "CREATE TABLE t (a other_{name}.mood DEFAULT other_{name}.f())",
    "CREATE TABLE t (a \"other {name}\".mood)",
];

#[tokio::test]
async fn equal_fingerprints_mean_equal_structures() {
    for trap in TRAPS {
        let database = database().await;
        let mut conn = connect(&database).await;
        for name in ["acme", "globex"] {
            for other in [format!("other_{name}"), format!("other {name}")] {
                let sql = "CREATE TYPE mood AS ENUM ('ok');
                           CREATE FUNCTION f() RETURNS mood LANGUAGE sql AS $$ select 'ok'::mood $$";
                create(&mut conn, &other, sql).await;
            }
            create(&mut conn, name, &trap.replace("{name}", name)).await;
        }
        let (acme, globex) = (
            exactly(&mut conn, "acme").await,
            exactly(&mut conn, "globex").await,
        );
        assert_ne!(diff(&acme, &globex), [], "{trap}: this is no trap");
        let (acme, globex) = (one(&mut conn, "acme").await, one(&mut conn, "globex").await);
        assert_ne!(acme.digest(), globex.digest(), "{trap}");
    }
}

#[tokio::test]
async fn what_names_the_schema_as_a_schema_is_the_same_everywhere() {
    const ORDINARY: &str = "CREATE TABLE t (id bigserial PRIMARY KEY, parent bigint REFERENCES t, at timestamptz DEFAULT now());
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE u (mood mood DEFAULT 'ok' CHECK (mood <> ALL (ARRAY['sad'::mood])), t bigint REFERENCES t (id));
        CREATE INDEX i ON u (t) WHERE mood = 'ok';
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN RETURN new; END $$;
        CREATE TRIGGER touch BEFORE UPDATE ON u FOR EACH ROW WHEN (new.mood = 'sad') EXECUTE FUNCTION f('x');
        CREATE VIEW v AS SELECT u.t, 'none' AS label FROM u JOIN t ON t.id = u.t WHERE u.mood <> 'sad'";
    let database = database().await;
    let mut conn = connect(&database).await;
    create(&mut conn, "acme", ORDINARY).await;
    create(&mut conn, "globex", ORDINARY).await;
    let (acme, globex) = (one(&mut conn, "acme").await, one(&mut conn, "globex").await);
    assert_eq!(acme.differing(&globex), []);
}

#[tokio::test]
async fn a_locked_schema_is_left_out_and_nobody_waits() {
    let database = database().await;
    let mut conn = connect(&database).await;
    for name in ["acme", "blue", "coral"] {
        create(&mut conn, name, EVERYTHING).await;
    }
    let mut other = database.connect().await;
    let mut transaction = other.begin().await.unwrap();
    run(
        &mut transaction,
        "ALTER TABLE blue.users ADD COLUMN late int",
    )
    .await;
    let begun = std::time::Instant::now();
    let looked = looked(&mut conn, &["acme", "blue", "coral"]).await;
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "somebody has waited"
    );
    assert_eq!(looked["blue"], Err("it is locked".to_owned()));
    assert_eq!(looked["acme"], looked["coral"]);
    assert!(looked["acme"].is_ok());
    transaction.rollback().await.unwrap();
    // Nothing is held by whoever has looked.
    let held: i64 = sqlx::query_scalar(
        "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
          where c.relnamespace in (select oid from pg_namespace where nspname in ('acme', 'blue', 'coral'))",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(held, 0);
}

#[tokio::test]
async fn locks_are_let_go_of_before_the_transaction_ends() {
    const QUERY: &str = "select c.relnamespace as namespace, 'view' as kind, 1::bigint as objects, pg_get_viewdef(c.oid) as hash
           from pg_class c where c.relkind = 'v' and c.relnamespace = any ($1)";
    const HELD: &str = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
          where c.relnamespace in (select oid from pg_namespace where nspname in ('acme', 'blue'))";
    let database = database().await;
    let mut conn = connect(&database).await;
    for name in ["acme", "blue"] {
        create(
            &mut conn,
            name,
            "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t",
        )
        .await;
    }
    let schemas = "array(select oid from pg_namespace where nspname in ('acme', 'blue'))";
    let mut transaction = conn.begin().await.unwrap();
    let rows = format!("select namespace from tenantry.fingerprints($q${QUERY}$q$, {schemas}, 1)");
    let rows = sqlx::query(AssertSqlSafe(rows))
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    let held: i64 = sqlx::query_scalar(HELD)
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(held, 0);
    // Alone, the query keeps them.
    run(&mut transaction, &QUERY.replace("$1", schemas)).await;
    let held: i64 = sqlx::query_scalar(HELD)
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert!(held >= 2, "{held}: this shows nothing");
    transaction.rollback().await.unwrap();
}
