//! A structure as a file of SQL: what is run in an empty schema leaves the same structure, or nothing is written.

use std::{fs, path::Path, process::Command};

use sqlx::AssertSqlSafe;
use tenantry::{
    sql::Ident,
    structure::{Detail, detailed, diff},
};

use crate::support::{Database, Ran, Shop, fleet, server, snapshots, tenantry};

const EVERYTHING: &str = include_str!("../fixtures/structure/everything.sql");

const PREPARE: &str = include_str!("../fixtures/structure/prepare.sql");

/// The command on the server of the tests.
async fn dump(shop: &Shop, arguments: &[&str]) -> Ran {
    let url = server().await.url();
    shop.run(&[&["dump", "--server", url], arguments].concat())
}

async fn run(database: &Database, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut database.connect().await)
        .await
        .unwrap();
}

/// Runs a file in a new schema, with psql where there is one; in what its structure differs from that of `original`.
async fn restored(database: &Database, file: &Path, original: &str, detail: Detail) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let copy = format!("{original}_restored");
    run(database, &format!("create schema {copy}")).await;
    let psql = Command::new("psql")
        .env("PGOPTIONS", format!("-c search_path={copy}"))
        .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", &database.url, "-f"])
        .arg(file)
        .output();
    match psql {
        Ok(output) => {
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{said}");
        }
        Err(_) => run(database, &format!("set search_path = {copy}; {text}")).await,
    }
    let mut connection = database.connect().await;
    let mut structures = Vec::new();
    for schema in [original, &copy] {
        let schema = Ident::new(schema).unwrap();
        structures.push(detailed(&mut connection, &schema, detail).await.unwrap());
    }
    assert!(!structures[0].is_empty());
    let differences = diff(&structures[0], &structures[1]);
    differences.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_sample_sets_are_restored_from_their_files() {
    let database = crate::support::database().await;
    let directory = tempfile::tempdir().unwrap();
    let sample = fleet::sample(&database.url);
    sample.up().await.unwrap().complete().unwrap();
    sample.add("acme").await.unwrap();
    for (scope, schema) in [("shared", "shared"), ("tenant", "acme")] {
        let file = directory.path().join(scope);
        let output = tenantry()
            .args(["dump", "--scope", scope, "--server", server().await.url()])
            .arg("--file")
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let differences = restored(&database, &file, schema, Detail::STRUCTURE).await;
        assert_eq!(differences, [""; 0]);
    }
}

#[tokio::test]
async fn everything_is_restored_from_a_tenant() {
    let shop = Shop::with(&[]).await;
    let all =
        format!("{PREPARE} create schema acme; set search_path = acme, pg_catalog; {EVERYTHING}");
    shop.sql(&all).await;
    fs::write(shop.path().join("prepare.sql"), PREPARE).unwrap();
    assert_eq!(shop.run(&["tenant", "import", "acme"]).code, 0);
    let dumped = dump(
        &shop,
        &[
            "--from",
            "acme",
            "--file",
            "acme.sql",
            "--prepare",
            "prepare.sql",
        ],
    )
    .await;
    assert_eq!(dumped.code, 0, "{}", dumped.screen());
    let text = fs::read_to_string(shop.path().join("acme.sql")).unwrap();
    assert!(
        text.contains("the tenant acme with nothing applied"),
        "{text}"
    );
    let differences = restored(
        &shop.database,
        &shop.path().join("acme.sql"),
        "acme",
        Detail::STRUCTURE,
    )
    .await;
    assert_eq!(differences, [""; 0]);
}

#[tokio::test]
async fn a_stale_file_is_told_with_what_differs() {
    let shop = Shop::with(&[]).await;
    let missing = dump(&shop, &["--check"]).await;
    assert_eq!(missing.code, 6, "{}", missing.screen());
    assert!(
        missing.stderr.contains("structure.tenant.sql is not there"),
        "{}",
        missing.screen()
    );
    let written = dump(&shop, &[]).await;
    assert_eq!(
        written.screen(),
        "exit 0\nstructure.tenant.sql: 1 statement\n"
    );
    let current = dump(&shop, &["--check"]).await;
    assert_eq!(
        current.screen(),
        "exit 0\nstructure.tenant.sql is current: 1 statement\n"
    );

    shop.migration(
        2,
        "names",
        "ALTER TABLE users ADD name text NOT NULL DEFAULT 'it''s';\n",
        "ALTER TABLE users DROP name;\n",
    );
    let stale = dump(&shop, &["--check"]).await;
    assert_eq!(stale.code, 6, "{}", stale.screen());
    for line in [
        "+    \"name\" text NOT NULL DEFAULT 'it''s'::text",
        "-    \"email\" text\n+    \"email\" text,",
        "structure.tenant.sql is stale; the same command without --check writes it",
    ] {
        assert!(stale.screen().contains(line), "{line}: {}", stale.screen());
    }
    let json = dump(&shop, &["--check", "--output", "json"]).await;
    assert_eq!(json.code, 6);
    let mut json = json.json();
    let difference = json["difference"].as_str().unwrap();
    assert!(difference.contains("+    \"name\" text"), "{difference}");
    // Its first line names the version of the server.
    json["difference"] = "DIFFERENCE".into();
    snapshots().bind(|| insta::assert_json_snapshot!("dump_json", json));
    assert_eq!(dump(&shop, &["--check", "--file", "-"]).await.code, 2);
    let printed = dump(&shop, &["--file", "-", "--scope", "shared"]).await;
    assert!(
        printed.stdout.contains("CREATE TABLE \"plans\" ("),
        "{}",
        printed.screen()
    );
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_or_named() {
    let shop = Shop::with(&[]).await;
    shop.migration(
        2,
        "grants",
        "GRANT SELECT ON users TO PUBLIC;\n",
        "REVOKE SELECT ON users FROM PUBLIC;\n",
    );
    let warned = dump(&shop, &[]).await;
    assert_eq!(warned.code, 0, "{}", warned.screen());
    assert!(
        warned.stderr.contains("not in it: privileges on users"),
        "{}",
        warned.screen()
    );
    let text = fs::read_to_string(shop.path().join("structure.tenant.sql")).unwrap();
    assert!(
        text.contains("-- Not in here: privileges on users."),
        "{text}"
    );

    shop.migration(
        3,
        "template",
        "CREATE TEXT SEARCH TEMPLATE lower (LEXIZE = dsimple_lexize);\n",
        "DROP TEXT SEARCH TEMPLATE lower;\n",
    );
    let refused = dump(&shop, &[]).await;
    assert_eq!(refused.code, 1, "{}", refused.screen());
    assert!(
        refused
            .stderr
            .contains("cannot be written yet: text search template lower"),
        "{}",
        refused.screen()
    );
    // The file is left as it was.
    let after = fs::read_to_string(shop.path().join("structure.tenant.sql")).unwrap();
    assert_eq!(after, text);
}

#[tokio::test]
async fn privileges_are_written_where_they_are_asked_for() {
    let shop = Shop::with(&[]).await;
    let grants = "set search_path = acme, pg_catalog;
        grant select, insert on users to pg_monitor; grant select on users to pg_monitor with grant option;
        revoke truncate on users from current_user; revoke all on cache from current_user;
        grant select (name), update (name) on users to public; grant select on open_orders, totals to public;
        grant usage on sequence ticket to pg_monitor; grant usage on schema acme to pg_monitor;
        revoke all on function touched() from public; grant execute on function share_of(numeric, numeric) to pg_monitor;
        revoke all on procedure tidy from public; revoke usage on type mood from public;
        alter default privileges in schema acme grant select on tables to pg_monitor with grant option;
        alter default privileges for role pg_monitor in schema acme grant usage on sequences to public;";
    shop.sql(&format!(
        "{PREPARE} create schema acme; set search_path = acme, pg_catalog; {EVERYTHING}; {grants}"
    ))
    .await;
    fs::write(shop.path().join("prepare.sql"), PREPARE).unwrap();
    assert_eq!(shop.run(&["tenant", "import", "acme"]).code, 0);
    let arguments = [
        "--from",
        "acme",
        "--file",
        "acme.sql",
        "--prepare",
        "prepare.sql",
        "--privileges",
    ];
    let dumped = dump(&shop, &arguments).await;
    assert_eq!(dumped.code, 0, "{}", dumped.screen());
    assert!(!dumped.stderr.contains("not in it"), "{}", dumped.screen());
    let detail = Detail {
        privileges: true,
        ..Detail::STRUCTURE
    };
    let file = shop.path().join("acme.sql");
    let differences = restored(&shop.database, &file, "acme", detail).await;
    assert_eq!(differences, [""; 0]);
}

#[tokio::test]
async fn an_extension_in_the_schema_is_written() {
    let shop = Shop::with(&[]).await;
    let up = "create extension ltree; create table paths (path ltree primary key);\n";
    shop.write("migrations/2-paths.up.sql", up);
    let down = "drop table paths;\ndrop extension ltree;\n";
    shop.write("migrations/2-paths.down.sql", down);
    shop.migration(2, "tags", up, down);
    let shared = dump(&shop, &["--scope", "shared", "--file", "-"]).await;
    assert_eq!(shared.code, 0, "{}", shared.screen());
    for line in [
        "CREATE EXTENSION \"ltree\" VERSION '",
        "\"path\" ltree NOT NULL",
    ] {
        assert!(shared.stdout.contains(line), "{line}: {}", shared.screen());
    }
    // One that the shared set has brought is none of a tenant's.
    let twice = dump(&shop, &["--file", "-"]).await;
    assert_eq!(twice.code, 1, "{}", twice.screen());
    assert!(
        twice.stderr.contains("\"ltree\" already exists"),
        "{}",
        twice.screen()
    );
}

#[tokio::test]
async fn a_set_that_does_not_come_up_has_no_structure() {
    let shop = Shop::with(&[]).await;
    shop.migration(
        2,
        "oops",
        "CREATE TABLE oops (id nothing);\n",
        "DROP TABLE oops;\n",
    );
    let failed = dump(&shop, &[]).await;
    assert_eq!(failed.code, 1, "{}", failed.screen());
    assert!(
        failed.stderr.contains("the tenant set does not come up"),
        "{}",
        failed.screen()
    );
    assert!(
        failed.stderr.contains("type \"nothing\" does not exist"),
        "{}",
        failed.screen()
    );
    assert_eq!(dump(&shop, &["--from", "nobody"]).await.code, 2);
}

#[tokio::test]
async fn a_materialised_view_that_was_never_filled_is_not_filled() {
    let shop = Shop::with(&[]).await;
    shop.sql(
        "create schema acme; set search_path = acme, pg_catalog;
         create table a (b int); create materialized view filled as select b from a;
         create materialized view never as select b from a with no data;
         create materialized view emptied as select b from a; create materialized view of_emptied as select b from emptied;
         refresh materialized view emptied with no data",
    )
    .await;
    assert_eq!(shop.run(&["tenant", "import", "acme"]).code, 0);
    let dumped = dump(&shop, &["--from", "acme", "--file", "acme.sql"]).await;
    assert_eq!(dumped.code, 0, "{}", dumped.screen());
    let file = shop.path().join("acme.sql");
    let differences = restored(&shop.database, &file, "acme", Detail::STRUCTURE).await;
    assert_eq!(differences, [""; 0]);
    let filled: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relnamespace = 'acme_restored'::regnamespace and relkind = 'm' and relispopulated",
    )
    .fetch_all(&mut shop.database.connect().await)
    .await
    .unwrap();
    // One that reads another which holds nothing could not be filled.
    assert_eq!(filled, ["filled"]);
    // It is a matter of rows: refreshing one is no drift.
    let acme = Ident::new("acme").unwrap();
    let mut connection = shop.database.connect().await;
    let before = detailed(&mut connection, &acme, Detail::EVERYTHING)
        .await
        .unwrap();
    run(&shop.database, "refresh materialized view acme.never").await;
    let after = detailed(&mut connection, &acme, Detail::EVERYTHING)
        .await
        .unwrap();
    assert_eq!(before, after);
}
