use sqlx::{AssertSqlSafe, Connection, PgConnection, raw_sql};
use tenantry::{
    sql::Ident,
    structure::{
        Detail, Kind, ObjectKey, Snapshot, StructureError, detailed, diff, snapshot, write,
    },
};

use crate::support::{Database, database};

const EVERYTHING: &str = include_str!("../fixtures/structure/everything.sql");

const PREPARE: &str = include_str!("../fixtures/structure/prepare.sql");

/// Paragraphs: a change of the schema with everything, then what must be said of it, as comments.
const CHANGES: &str = include_str!("../fixtures/structure/changes.sql");

/// The same of owners, privileges and the schema itself.
const CHANGES_WITH_ROLES: &str = include_str!("../fixtures/structure/changes_with_roles.sql");

/// What stands in the schema, by the number of objects of each kind.
fn count(structure: &Snapshot, kind: Kind) -> usize {
    structure
        .objects()
        .filter(|(object, _)| object.kind == kind)
        .count()
}

async fn create(conn: &mut PgConnection, schema: &Ident, sql: &str) {
    let sql = format!("CREATE SCHEMA {schema}; SET search_path = {schema}, pg_catalog; {sql}");
    raw_sql(AssertSqlSafe(sql)).execute(conn).await.unwrap();
}

async fn change(conn: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql)).execute(conn).await.unwrap();
}

fn ident(name: &str) -> Ident {
    Ident::new(name).unwrap()
}

fn words(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    diff(before, after)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Snapshots of two schemas with everything.
async fn twins(database: &Database, names: [&str; 2]) -> [Snapshot; 2] {
    let mut conn = database.connect().await;
    let [one, other] = names.map(ident);
    change(&mut conn, PREPARE).await;
    create(&mut conn, &one, EVERYTHING).await;
    create(&mut conn, &other, EVERYTHING).await;
    // Nothing may depend on what the session has set.
    change(
        &mut conn,
        "SET quote_all_identifiers = on; SET datestyle = 'German'; SET timezone = 'Asia/Tokyo'",
    )
    .await;
    let one = snapshot(&mut conn, &one).await.unwrap();
    change(
        &mut conn,
        "RESET ALL; CREATE TEMP TABLE orders (); CREATE TEMP TABLE users ()",
    )
    .await;
    [one, snapshot(&mut conn, &other).await.unwrap()]
}

#[tokio::test]
async fn equal_schemas_have_equal_snapshots() {
    let [one, other] = twins(&database().await, ["acme", "globex"]).await;
    assert_eq!(words(&one, &other), [""; 0]);
    assert_eq!(one, other);
    assert_eq!(one.fingerprint(), other.fingerprint());
    let counts = [
        (Kind::Type, 6),
        (Kind::Table, 9),
        (Kind::View, 1),
        (Kind::MaterializedView, 1),
        (Kind::Function, 17),
        (Kind::Procedure, 1),
        (Kind::Aggregate, 4),
        (Kind::Trigger, 1),
        (Kind::Rule, 1),
        (Kind::Policy, 2),
        (Kind::Statistics, 1),
        (Kind::Sequence, 3),
        (Kind::Operator, 5),
        (Kind::OperatorFamily, 1),
        (Kind::OperatorClass, 1),
        (Kind::Cast, 2),
        (Kind::Collation, 1),
        (Kind::Conversion, 1),
        (Kind::TextSearchDictionary, 1),
        (Kind::TextSearchConfiguration, 1),
    ];
    for (kind, expected) in counts {
        assert_eq!(count(&one, kind), expected, "{kind}");
    }
    assert_eq!(
        serde_json::from_str::<Snapshot>(&serde_json::to_string(&one).unwrap()).unwrap(),
        one
    );
}

#[tokio::test]
async fn the_schemas_name_never_shows() {
    let weird = r#"we"ird; drop schema public cascade--"#;
    // Names of tables, columns and aliases within the schema are the hardest to tell from the schema's.
    for name in [
        weird,
        "orders",
        "users",
        "other",
        "old",
        "it's",
        "Acme.Corp",
        r"back\slash",
    ] {
        let [one, other] = twins(&database().await, ["acme", name]).await;
        assert_eq!(words(&one, &other), [""; 0], "{name}");
        assert_eq!(one.fingerprint(), other.fingerprint(), "{name}");
    }
    let [one, _] = twins(&database().await, ["acme", weird]).await;
    assert!(
        !serde_json::to_string(&one).unwrap().contains("acme"),
        "{one:#?}"
    );
}

/// Makes each change of a schema with everything, and compares what is said of it with what should be.
async fn are_told(changes: &str, detail: Detail) {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    change(&mut conn, PREPARE).await;
    create(&mut conn, &acme, EVERYTHING).await;
    let me: String = sqlx::query_scalar("SELECT quote_ident(current_user)")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let before = detailed(&mut conn, &acme, detail).await.unwrap();
    let mut wrong = Vec::new();
    for paragraph in changes.replace("<me>", &me).split("\n\n").skip(1) {
        let (said, sql): (Vec<_>, Vec<_>) =
            paragraph.lines().partition(|line| line.starts_with("-- "));
        let mut transaction = conn.begin().await.unwrap();
        change(&mut transaction, &sql.join("\n")).await;
        let after = detailed(&mut transaction, &acme, detail).await.unwrap();
        transaction.rollback().await.unwrap();
        assert_ne!(before.fingerprint(), after.fingerprint(), "{paragraph}");
        let words = words(&before, &after);
        if said
            != words
                .iter()
                .map(|words| format!("-- {words}"))
                .collect::<Vec<_>>()
        {
            wrong.push(format!("{paragraph}\nbut it said {words:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(detailed(&mut conn, &acme, detail).await.unwrap(), before);
}

#[tokio::test]
async fn every_change_is_found_and_told() {
    are_told(CHANGES, Detail::STRUCTURE).await;
}

#[tokio::test]
async fn every_change_of_owners_and_privileges_is_found_and_told() {
    are_told(CHANGES_WITH_ROLES, Detail::EVERYTHING).await;
}

#[tokio::test]
async fn a_grant_that_was_taken_back_leaves_no_trace() {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    change(&mut conn, PREPARE).await;
    create(&mut conn, &acme, EVERYTHING).await;
    let before = detailed(&mut conn, &acme, Detail::EVERYTHING)
        .await
        .unwrap();
    let there_and_back = [
        "GRANT SELECT ON users TO PUBLIC; REVOKE SELECT ON users FROM PUBLIC",
        "REVOKE EXECUTE ON FUNCTION touched FROM PUBLIC; GRANT EXECUTE ON FUNCTION touched TO PUBLIC",
        "REVOKE USAGE ON TYPE mood FROM PUBLIC; GRANT USAGE ON TYPE mood TO PUBLIC",
        "GRANT USAGE ON SCHEMA acme TO PUBLIC; REVOKE USAGE ON SCHEMA acme FROM PUBLIC",
        "GRANT USAGE ON SEQUENCE ticket TO PUBLIC; REVOKE USAGE ON SEQUENCE ticket FROM PUBLIC",
        "GRANT SELECT (id) ON users TO PUBLIC; REVOKE SELECT (id) ON users FROM PUBLIC",
    ];
    change(&mut conn, &there_and_back.join(";")).await;
    let after = detailed(&mut conn, &acme, Detail::EVERYTHING)
        .await
        .unwrap();
    assert_eq!(words(&before, &after), [""; 0]);
}

#[tokio::test]
async fn owners_and_the_comment_on_the_schema_are_written() {
    let mut conn = database().await.connect().await;
    let [acme, copy] = ["acme", "copy"].map(ident);
    let all = "CREATE TYPE mood AS ENUM ('ok'); CREATE SEQUENCE ticket; CREATE TABLE orders (id bigserial);
         CREATE FUNCTION f(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW open AS SELECT id FROM orders;
         COMMENT ON SCHEMA acme IS '100 % of <schema>''s';
         ALTER TYPE mood OWNER TO pg_monitor; ALTER TABLE orders OWNER TO pg_monitor; ALTER VIEW open OWNER TO pg_monitor;
         ALTER SEQUENCE ticket OWNER TO pg_monitor; ALTER FUNCTION f(mood) OWNER TO pg_monitor;
         GRANT SELECT ON orders TO PUBLIC; ALTER SCHEMA acme OWNER TO pg_monitor";
    create(&mut conn, &acme, all).await;
    let original = detailed(&mut conn, &acme, Detail::EVERYTHING)
        .await
        .unwrap();
    create(&mut conn, &copy, "").await;
    for statement in write(&original).unwrap() {
        change(&mut conn, &statement.sql).await;
    }
    let copied = detailed(&mut conn, &copy, Detail::EVERYTHING)
        .await
        .unwrap();
    assert_eq!(words(&original, &copied), [""; 0]);
}

#[tokio::test]
async fn what_is_not_asked_for_does_not_count() {
    let mut conn = database().await.connect().await;
    let mut of = async |name: &str, sql: &str| {
        let schema = ident(name);
        create(&mut conn, &schema, sql).await;
        let everything = detailed(&mut conn, &schema, Detail::EVERYTHING)
            .await
            .unwrap();
        for detail in [Detail::STRUCTURE, Detail::LOGICAL] {
            let taken = detailed(&mut conn, &schema, detail).await.unwrap();
            assert_eq!(everything.clone().reduced(detail), taken);
        }
        everything
    };
    let one = of("one", "CREATE TABLE orders (a int, b int)").await;
    let other = of(
        "other",
        "CREATE TABLE orders (b int, a int); GRANT SELECT ON orders TO PUBLIC; COMMENT ON SCHEMA other IS 'Other';
         ALTER TABLE orders OWNER TO pg_monitor",
    )
    .await;
    let between = |detail: Detail| {
        let [one, other] = [&one, &other].map(|snapshot| snapshot.clone().reduced(detail));
        assert_eq!(one == other, one.fingerprint() == other.fingerprint());
        words(&one, &other)
    };
    assert_eq!(between(Detail::LOGICAL), [""; 0]);
    assert_eq!(
        between(Detail::STRUCTURE),
        ["orders: column order a, b → b, a"]
    );
    assert_eq!(between(Detail::EVERYTHING).len(), 4);
    let privileges = Detail {
        privileges: true,
        ..Detail::LOGICAL
    };
    assert_eq!(
        between(privileges),
        ["table orders: privileges of public none → SELECT"]
    );
}

#[tokio::test]
async fn dropped_columns_leave_no_trace_but_order_counts() {
    let mut conn = database().await.connect().await;
    let mut of = async |name: &str, sql: &str| {
        let schema = ident(name);
        create(&mut conn, &schema, sql).await;
        snapshot(&mut conn, &schema).await.unwrap()
    };
    let plain = of("plain", "CREATE TABLE orders (a int, b int, c int)").await;
    let gaps = of("gaps", "CREATE TABLE orders (x int, a int, y int, b int); ALTER TABLE orders DROP x, DROP y, ADD c int").await;
    assert_eq!(words(&plain, &gaps), [""; 0]);
    assert_eq!(plain.fingerprint(), gaps.fingerprint());
    let moved = of("moved", "CREATE TABLE orders (a int, c int, b int)").await;
    assert_eq!(
        words(&plain, &moved),
        ["orders: column order a, b, c → a, c, b"]
    );
    assert_ne!(plain.fingerprint(), moved.fingerprint());
}

#[tokio::test]
async fn of_an_extension_nothing_is_told_but_its_version() {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    create(&mut conn, &acme, "CREATE TABLE orders (id int)").await;
    let before = snapshot(&mut conn, &acme).await.unwrap();
    change(
        &mut conn,
        "CREATE EXTENSION hstore SCHEMA acme VERSION '1.7'; CREATE EXTENSION pg_stat_statements SCHEMA acme",
    )
    .await;
    let installed = snapshot(&mut conn, &acme).await.unwrap();
    assert_eq!(
        words(&before, &installed),
        [
            "extension hstore: added",
            "extension pg_stat_statements: added"
        ]
    );
    change(&mut conn, "ALTER EXTENSION hstore UPDATE TO '1.8'").await;
    let updated = snapshot(&mut conn, &acme).await.unwrap();
    assert_eq!(
        words(&installed, &updated),
        ["extension hstore: version 1.7 → 1.8"]
    );
}

#[tokio::test]
async fn extensions_in_other_schemas_are_told_where_they_are_asked_for() {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    create(&mut conn, &acme, "CREATE TABLE orders (id int)").await;
    let detail = Detail {
        extensions: true,
        ..Detail::STRUCTURE
    };
    let before = detailed(&mut conn, &acme, detail).await.unwrap();
    let alone = snapshot(&mut conn, &acme).await.unwrap();
    change(&mut conn, "CREATE EXTENSION hstore SCHEMA public").await;
    let after = detailed(&mut conn, &acme, detail).await.unwrap();
    assert_eq!(words(&before, &after), ["extension hstore: added"]);
    change(&mut conn, "ALTER EXTENSION hstore SET SCHEMA acme").await;
    let moved = detailed(&mut conn, &acme, detail).await.unwrap();
    assert_eq!(
        words(&after, &moved),
        ["extension hstore: schema public → none"]
    );
    change(&mut conn, "ALTER EXTENSION hstore SET SCHEMA public").await;
    assert_eq!(snapshot(&mut conn, &acme).await.unwrap(), alone);
    assert_eq!(after.reduced(Detail::STRUCTURE), alone);
}

#[tokio::test]
async fn a_tablespace_is_told() {
    let database = database().await;
    let mut conn = database.connect().await;
    let acme = ident("acme");
    let tables =
        "CREATE TABLE orders (id int PRIMARY KEY); CREATE MATERIALIZED VIEW totals AS SELECT 1";
    create(&mut conn, &acme, tables).await;
    let before = snapshot(&mut conn, &acme).await.unwrap();
    // Only a server from 15 on makes one without a directory of its own.
    if change_if_known(&mut conn, "SET allow_in_place_tablespaces = on").await {
        let space = format!("tenantry_{}", std::process::id());
        change(&mut conn, &format!("CREATE TABLESPACE {space} LOCATION ''")).await;
        let moves = format!(
            "ALTER TABLE orders SET TABLESPACE {space}; ALTER INDEX orders_pkey SET TABLESPACE {space};
             ALTER MATERIALIZED VIEW totals SET TABLESPACE {space}"
        );
        change(&mut conn, &moves).await;
        let after = snapshot(&mut conn, &acme).await.unwrap();
        change(&mut conn, "DROP SCHEMA acme CASCADE").await;
        change(&mut conn, &format!("DROP TABLESPACE {space}")).await;
        let told = [
            "table orders",
            "materialized view totals",
            "index orders_pkey",
        ]
        .map(|object| format!("{object}: tablespace none → {space}"));
        assert_eq!(words(&before, &after), told);
    }
}

/// Whether the server took it.
async fn change_if_known(conn: &mut PgConnection, sql: &str) -> bool {
    raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(conn)
        .await
        .is_ok()
}

#[tokio::test]
async fn the_connection_stays_as_it_was() {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    create(&mut conn, &acme, "CREATE TABLE orders (id int)").await;
    let before = settings(&mut conn).await;
    snapshot(&mut conn, &acme).await.unwrap();
    no_globex(&mut conn).await;
    assert_eq!(settings(&mut conn).await, before);

    // Nor does a transaction that is under way notice.
    let mut transaction = conn.begin().await.unwrap();
    change(
        &mut transaction,
        "SET LOCAL datestyle = 'German'; CREATE TABLE orders_2 ()",
    )
    .await;
    let inside = settings(&mut transaction).await;
    assert_eq!(
        count(
            &snapshot(&mut transaction, &acme).await.unwrap(),
            Kind::Table
        ),
        2
    );
    no_globex(&mut transaction).await;
    assert_eq!(settings(&mut transaction).await, inside);
    transaction.commit().await.unwrap();
    assert_eq!(
        count(&snapshot(&mut conn, &acme).await.unwrap(), Kind::Table),
        2
    );
}

async fn no_globex(conn: &mut PgConnection) {
    let missing = snapshot(conn, &ident("globex")).await.unwrap_err();
    assert!(matches!(missing, StructureError::NoSchema(name) if name == "globex"));
}

async fn settings(conn: &mut PgConnection) -> String {
    let settings = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
        WHERE name IN ('search_path', 'datestyle', 'timezone', 'jit', 'lc_monetary', 'bytea_output')";
    sqlx::query_scalar(settings).fetch_one(conn).await.unwrap()
}

#[tokio::test]
async fn hostile_functions_and_operators_are_not_called() {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    create(
        &mut conn,
        &acme,
        "CREATE TABLE orders (id int PRIMARY KEY);
         CREATE FUNCTION quote_ident(name) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$;
         CREATE FUNCTION string_agg(text) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$;
         CREATE FUNCTION format_type(oid, integer) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$;
         CREATE FUNCTION obj_description(oid, text) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$;
         CREATE FUNCTION fail(oid, integer) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 1 $$;
         CREATE FUNCTION fail(oid, regclass) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 1 $$;
         CREATE FUNCTION fail(smallint[], smallint[]) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 1 $$;
         CREATE OPERATOR = (leftarg = oid, rightarg = integer, function = fail);
         CREATE OPERATOR <> (leftarg = oid, rightarg = integer, function = fail);
         CREATE OPERATOR = (leftarg = oid, rightarg = regclass, function = fail);
         CREATE FUNCTION longer(text, name) RETURNS text LANGUAGE sql AS $$ SELECT (1 / 0)::text $$;
         CREATE FUNCTION pg_get_userbyid(oid) RETURNS name LANGUAGE sql AS $$ SELECT (1 / 0)::text::name $$;
         CREATE FUNCTION acldefault(\"char\", oid) RETURNS aclitem[] LANGUAGE sql AS $$ SELECT NULL::aclitem[] WHERE 1 / 0 = 1 $$;
         CREATE OPERATOR || (leftarg = text, rightarg = name, function = longer);
         CREATE OPERATOR = (leftarg = smallint[], rightarg = smallint[], function = fail);
         CREATE TYPE regclass AS ENUM ();",
    )
    .await;
    let structure = detailed(&mut conn, &acme, Detail::EVERYTHING)
        .await
        .unwrap();
    let id = ObjectKey {
        kind: Kind::Column,
        table: Some("orders".into()),
        name: "id".into(),
    };
    assert_eq!(structure.get(&id).unwrap()["type"], "integer");
}

#[tokio::test]
async fn twenty_tables_are_read_whole() {
    let mut conn = database().await.connect().await;
    let acme = ident("acme");
    let tables: String = (0..20)
        .map(|i| {
            format!(
                "CREATE TABLE t{i} (id bigserial PRIMARY KEY, a text NOT NULL DEFAULT '', b int CHECK (b > 0),
                    parent bigint REFERENCES t{i}, at timestamptz DEFAULT now());
                 CREATE INDEX ON t{i} (a); CREATE INDEX ON t{i} (parent);"
            )
        })
        .collect();
    create(&mut conn, &acme, &tables).await;
    let structure = snapshot(&mut conn, &acme).await.unwrap();
    assert_eq!(count(&structure, Kind::Table), 20);
    assert_eq!(count(&structure, Kind::Column), 20 * 5);
}

#[tokio::test]
async fn not_null_is_told_with_its_column_where_it_is_a_constraint_too() {
    let mut conn = database().await.connect().await;
    let version = "SELECT current_setting('server_version_num')::int";
    let version: i32 = sqlx::query_scalar(version)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let acme = ident("acme");
    create(&mut conn, &acme, "CREATE TABLE orders (id int, total int)").await;
    let before = snapshot(&mut conn, &acme).await.unwrap();
    change(&mut conn, "ALTER TABLE orders ALTER id SET NOT NULL").await;
    let expected = if version < 180_000 {
        vec!["orders.id: not null no → yes"]
    } else {
        change(
            &mut conn,
            "ALTER TABLE orders ADD CONSTRAINT known NOT NULL total NOT VALID",
        )
        .await;
        vec![
            "orders.id: not null no → yes",
            "orders.total: not null no → not validated",
        ]
    };
    assert_eq!(
        words(&before, &snapshot(&mut conn, &acme).await.unwrap()),
        expected
    );
}

#[tokio::test]
async fn what_a_schema_has_nothing_else_beside_is_seen() {
    let mut conn = database().await.connect().await;
    let alone = [
        (Kind::Collation, "CREATE COLLATION c (LOCALE = 'C')"),
        (Kind::Sequence, "CREATE SEQUENCE s"),
        (Kind::View, "CREATE VIEW v AS SELECT 1 AS a"),
        (
            Kind::MaterializedView,
            "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
        ),
        (
            Kind::Statistics,
            "CREATE TABLE t (a int, b int); CREATE STATISTICS s ON a, b FROM t",
        ),
        (
            Kind::Function,
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1",
        ),
        (
            Kind::Operator,
            "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
        ),
        (Kind::OperatorFamily, "CREATE OPERATOR FAMILY f USING btree"),
        (
            Kind::OperatorClass,
            "CREATE OPERATOR CLASS c FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int)",
        ),
        (
            Kind::Cast,
            "CREATE TYPE t AS (a int); CREATE CAST (text AS t) WITH INOUT",
        ),
        (
            Kind::Trigger,
            "CREATE TABLE t (); CREATE TRIGGER g BEFORE UPDATE ON t EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ),
        (
            Kind::Rule,
            "CREATE TABLE t (); CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        ),
        (Kind::Policy, "CREATE TABLE t (); CREATE POLICY p ON t"),
        (
            Kind::TextSearchDictionary,
            "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)",
        ),
        (
            Kind::TextSearchConfiguration,
            "CREATE TEXT SEARCH CONFIGURATION c (PARSER = \"default\")",
        ),
        (
            Kind::Conversion,
            "CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        ),
        (Kind::Extension, "CREATE EXTENSION fuzzystrmatch"),
    ];
    for (number, (kind, sql)) in alone.into_iter().enumerate() {
        let schema = ident(&format!("alone_{number}"));
        create(&mut conn, &schema, sql).await;
        let seen = snapshot(&mut conn, &schema).await.unwrap();
        assert_eq!(count(&seen, kind), 1, "{kind}");
    }
}
