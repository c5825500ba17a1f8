//! New tenants from the file that `dump` writes: the same as the migrations make, or made by them.

use std::fs;

use tenantry::{
    fleet::Fleet,
    history::{Applied, Head},
    migration::Checksum,
    provision::{self, Added, By},
    sql::Ident,
    store::{
        heads, history,
        tenants::{self, Labels},
    },
    structure::{Detail, Limits, Snapshot, detailed, diff, fingerprints},
    tenant::{ShardName, TenantName, TenantState},
};

use crate::support::{Ran, Shop, database, fleet, server, snapshots, tenantry};

const FILE: &str = "structure.tenant.sql";

/// A name that has to be quoted, in every place there is.
const ODD: &str = "O'Brien & \"Co\"; drop";

/// A shop whose new tenants are built from a file, which is not there yet. Its migrations use what is seldom used: an index
/// that is built concurrently, a new value of an enum, rows that are changed where there are none, a way back that is stored.
async fn shop() -> Shop {
    let shop = Shop::with(&[]).await;
    shop.migration(
        2,
        "orders",
        "CREATE TYPE mood AS ENUM ('good');
         CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood, note text DEFAULT 'it''s');
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ begin return new; end $$;
         CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE VIEW good_orders AS SELECT * FROM orders WHERE mood = 'good';\n",
        "DROP VIEW good_orders; DROP TABLE orders; DROP FUNCTION touch; DROP TYPE mood;\n",
    );
    shop.migration(
        3,
        "by-mood",
        "-- tenantry: no-transaction\nCREATE INDEX CONCURRENTLY orders_by_mood ON orders (mood);\n",
        "DROP INDEX orders_by_mood;\n",
    );
    shop.migration(
        4,
        "bad",
        "ALTER TYPE mood ADD VALUE 'bad';\n",
        "SELECT 1;\n",
    );
    shop.migration(
        5,
        "names",
        "ALTER TABLE users ADD name text; UPDATE users SET name = email; ALTER TABLE users ALTER name SET NOT NULL;
         COMMENT ON COLUMN users.name IS 'who';\n",
        "ALTER TABLE users DROP name;\n",
    );
    shop.write(
        "tenant_migrations/functions/count_users.sql",
        "CREATE OR REPLACE FUNCTION count_users() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users';\n",
    );
    shop.write(
        "tenantry.toml",
        &format!("[migrations]\nstructure = \"{FILE}\"\n"),
    );
    shop
}

async fn dump(shop: &Shop, arguments: &[&str]) -> Ran {
    let url = server().await.url();
    shop.run(&[&["dump", "--server", url], arguments].concat())
}

/// A shop with the file.
async fn dumped() -> Shop {
    let shop = shop().await;
    let written = dump(&shop, &[]).await;
    assert_eq!(written.code, 0, "{}", written.screen());
    assert_eq!(written.stderr, "");
    shop
}

/// The fleet of a shop as a program has it, with the file as it is now.
fn built_fleet(shop: &Shop) -> Fleet {
    let text = fs::read_to_string(shop.path().join(FILE)).unwrap();
    shop.fleet().with_structure(FILE, &text)
}

async fn add(fleet: &Fleet, name: &str) -> Added {
    let name = TenantName::new(name).unwrap();
    let added = provision::add(fleet, &name, &ShardName::new("main"), &Labels::new()).await;
    added.unwrap()
}

/// All that is known of a tenant.
#[derive(Debug, PartialEq)]
struct Known {
    structure: Snapshot,
    fingerprint: [u8; 32],
    applied: Vec<Applied>,
    head: Head,
}

/// Of a tenant; what differs of any two, its names and numbers, is left out.
async fn known(fleet: &Fleet, name: &str) -> Known {
    let schema = Ident::new(name).unwrap();
    let mut session = fleet
        .shard(fleet.shards.iter().next().unwrap())
        .await
        .unwrap();
    let connection = session.connection();
    let head = heads::get(connection, &schema).await.unwrap().unwrap().head;
    let limits = Limits {
        locks: 1000,
        time: std::time::Duration::from_secs(60),
    };
    let mut looked = fingerprints(connection, &[head.schema_oid], limits)
        .await
        .unwrap();
    let detail = Detail {
        owners: true,
        privileges: true,
        ..Detail::STRUCTURE
    };
    Known {
        structure: detailed(connection, &schema, detail).await.unwrap(),
        fingerprint: looked.remove(&head.schema_oid).unwrap().unwrap().digest(),
        applied: history::applied(connection, &head).await.unwrap(),
        head: Head {
            schema_oid: 0,
            schema: String::new(),
            revision: 0,
            ..head
        },
    }
}

/// How each row of the log came into it, oldest first.
async fn hows(shop: &Shop, name: &str) -> Vec<(String, String)> {
    sqlx::query_as("select version, how from tenantry.history where schema_name = $1 order by id")
        .bind(name)
        .fetch_all(&mut shop.database.connect().await)
        .await
        .unwrap()
}

async fn assert_same(fleet: &Fleet, one: &str, other: &str) {
    let (one, other) = (known(fleet, one).await, known(fleet, other).await);
    let differences = diff(&one.structure, &other.structure);
    assert!(differences.is_empty(), "{differences:?}");
    assert!(!one.structure.is_empty());
    assert_eq!(one, other);
}

/// A fleet of its own migrations only.
fn plain(fleet: &Fleet) -> Fleet {
    Fleet {
        structure: None,
        ..fleet.clone()
    }
}

#[tokio::test]
async fn a_tenant_from_the_file_is_the_same_as_one_from_the_migrations() {
    let shop = dumped().await;
    let fleet = built_fleet(&shop);
    assert_eq!(add(&plain(&fleet), "acme").await.built, By::Migrations);
    let added = shop.run(&["tenant", "add", ODD]);
    assert_eq!(added.code, 0, "{}", added.screen());
    assert_eq!(added.stderr, "");
    assert!(
        added.stdout.contains("at 5, built from its structure, in"),
        "{}",
        added.screen()
    );
    assert_same(&fleet, "acme", ODD).await;
    let all = |how: &str| (1..=5).map(|v| (v.to_string(), how.to_owned())).collect();
    let rows: Vec<_> = all("structure");
    assert_eq!(hows(&shop, ODD).await, rows);
    let rows: Vec<_> = all("run");
    assert_eq!(hows(&shop, "acme").await, rows);
    let shown = shop.run(&["tenant", "show", ODD]);
    assert!(shown.stdout.contains("structure"), "{}", shown.screen());
    // Nothing is pending, and nobody has drifted.
    assert_eq!(shop.run(&["status", "--check"]).code, 0);

    let mut json = shop
        .run(&["tenant", "add", "blue", "--output", "json"])
        .json();
    json["created_at"] = "[time]".into();
    snapshots().bind(|| insta::assert_json_snapshot!("tenant_add_built", json));
}

#[tokio::test]
async fn a_tenant_from_the_file_goes_back_to_nothing_and_up_again() {
    let shop = dumped().await;
    let fleet = built_fleet(&shop);
    add(&plain(&fleet), "acme").await;
    assert_eq!(add(&fleet, "blue").await.built, By::Structure);
    let down = shop.run(&["down", "acme,blue", "--to", "0", "--yes"]);
    assert_eq!(down.code, 0, "{}", down.screen());
    assert_same_but_functions(&fleet).await;
    assert_eq!(known(&fleet, "blue").await.head.version, None);
    let up = shop.run(&["up"]);
    assert_eq!(up.code, 0, "{}", up.screen());
    assert_same(&fleet, "acme", "blue").await;
    assert_eq!(known(&fleet, "blue").await.applied.len(), 5);
}

/// Repeatables stay on the way back, in both.
async fn assert_same_but_functions(fleet: &Fleet) {
    let (acme, blue) = (known(fleet, "acme").await, known(fleet, "blue").await);
    assert_eq!(diff(&acme.structure, &blue.structure), []);
    assert_eq!(acme.head, blue.head);
    assert_eq!((acme.applied, blue.applied), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn what_is_newer_than_the_file_is_applied_as_well() {
    let shop = dumped().await;
    shop.migration(
        6,
        "late",
        "INSERT INTO orders (mood) VALUES ('bad');\n",
        "DELETE FROM orders;\n",
    );
    shop.migration(
        7,
        "index",
        "-- tenantry: no-transaction\nCREATE INDEX CONCURRENTLY late ON orders (note);\n",
        "DROP INDEX late;\n",
    );
    // Nobody sees that these need a transaction each.
    shop.migration(
        8,
        "hidden",
        "DO $$ begin execute 'ALTER TYPE mood ADD VALUE ''worse'''; end $$;\n",
        "SELECT 1;\n",
    );
    shop.migration(
        9,
        "uses",
        "ALTER TABLE orders ALTER mood SET DEFAULT 'worse';\n",
        "ALTER TABLE orders ALTER mood DROP DEFAULT;\n",
    );
    let fleet = built_fleet(&shop);
    add(&plain(&fleet), "acme").await;
    assert_eq!(add(&fleet, "blue").await.built, By::Structure);
    assert_same(&fleet, "acme", "blue").await;
    let late: Vec<_> = hows(&shop, "blue").await.split_off(5);
    let run = |version: &str| (version.to_owned(), "run".to_owned());
    assert_eq!(late, ["6", "7", "8", "9"].map(run));
    let rows: i64 = sqlx::query_scalar("select count(*) from blue.orders")
        .fetch_one(&mut shop.database.connect().await)
        .await
        .unwrap();
    assert_eq!(rows, 1);

    // One that fails after the file leaves the tenant where it can be gone on with.
    shop.migration(10, "oops", "SELECT 1 / 0;\n", "SELECT 1;\n");
    let failed = shop.run(&["tenant", "add", "coral"]);
    assert_eq!(failed.code, 1, "{}", failed.screen());
    assert!(
        failed.stderr.contains("10-oops.up.sql"),
        "{}",
        failed.screen()
    );
    shop.migration(10, "oops", "SELECT 1;\n", "SELECT 1;\n");
    let again = shop.run(&["tenant", "add", "coral", "--output", "json"]);
    assert_eq!(again.json()["built_by"], "migrations", "{}", again.screen());
    let hows = hows(&shop, "coral").await;
    assert_eq!(hows.len(), 10);
    assert_eq!(hows[0].1, "structure");
}

/// The line of the file that is for machines.
fn mark(text: &str) -> (usize, String) {
    let mut lines = (1..).zip(text.lines());
    let found = lines.find(|(_, line)| line.starts_with("-- tenantry: structure "));
    let (number, line) = found.unwrap();
    (number, line.to_owned())
}

#[tokio::test]
async fn a_file_that_does_not_fit_is_told_with_its_line_and_the_migrations_do_it() {
    let shop = dumped().await;
    let text = fs::read_to_string(shop.path().join(FILE)).unwrap();
    let (number, line) = mark(&text);
    let fleet = plain(&built_fleet(&shop));
    add(&fleet, "plain").await;
    let without = |word: &str| {
        let words = line.split(' ').filter(|w| !w.starts_with(word));
        text.replace(&line, &words.collect::<Vec<_>>().join(" "))
    };
    let edited = text.replace("GENERATED ALWAYS", "GENERATED BY DEFAULT");
    assert_ne!(edited, text);
    let cases = [
        (edited, "was changed by hand"),
        (without("version="), "cannot be read"),
        (
            text.replace(" version=5 ", " version=x "),
            "`version=x` cannot be read",
        ),
        (
            text.replace(" version=5 ", " version=9 "),
            "stands at 9, which is in no file",
        ),
        (
            text.replace(" version=5 ", " version=4 "),
            "the migrations up to 4 are not those",
        ),
        (
            text.replace(&line, "-- tenantry: structure builds-no-tenant"),
            "no tenant can be built from it",
        ),
        (
            text.replace(" postgres=", " postgres=1"),
            "was written on PostgreSQL 1",
        ),
    ];
    for (case, (text, words)) in cases.into_iter().enumerate() {
        shop.write(FILE, &text);
        let name = format!("case_{case}");
        let added = shop.run(&["tenant", "add", &name, "--output", "json"]);
        assert_eq!(added.code, 0, "{}", added.screen());
        let json = added.json();
        assert_eq!(json["built_by"], "migrations");
        let why = json["not_built_from_structure"].as_str().unwrap();
        assert!(why.starts_with(&format!("{FILE}:{number}: ")), "{why}");
        assert!(why.contains(words), "{words}: {why}");
        // In the log as well, which is for people.
        assert!(added.stderr.contains(words), "{}", added.stderr);
        assert_same(&fleet, "plain", &name).await;
    }
    let unmarked = text.replace(&format!("{line}\n"), "");
    for (text, words) in [
        (
            Some(unmarked),
            "does not say which migrations it stands for",
        ),
        (None, "cannot be read: No such file"),
    ] {
        match text {
            Some(text) => shop.write(FILE, &text),
            None => fs::remove_file(shop.path().join(FILE)).unwrap(),
        }
        let added = shop.run(&["tenant", "add", &words[..8].replace(' ', "_")]);
        assert_eq!(added.code, 0, "{}", added.screen());
        assert!(
            added.stderr.contains(&format!("{FILE}: {words}")),
            "{}",
            added.screen()
        );
        assert!(
            added.stderr.contains("`tenantry dump` writes it"),
            "{}",
            added.screen()
        );
    }
}

#[tokio::test]
async fn a_file_with_other_line_ends_builds_nobody() {
    let shop = shop().await;
    shop.migration(
        6,
        "lines",
        "ALTER TABLE orders ADD text text DEFAULT 'one\ntwo';\n",
        "ALTER TABLE orders DROP text;\n",
    );
    assert_eq!(dump(&shop, &[]).await.code, 0);
    let text = fs::read_to_string(shop.path().join(FILE)).unwrap();
    let (number, _) = mark(&text);
    let fleet = built_fleet(&shop);
    add(&plain(&fleet), "plain").await;
    let (head, body) = text.split_once("\nCREATE ").unwrap();
    let body = format!("{head}\nCREATE {}", body.replace('\n', "\r\n"));
    let all = text.replace('\n', "\r\n");
    for (name, text, words) in [
        ("all", all, "`*.sql text eol=lf` in .gitattributes"),
        ("body", body, "was changed by hand"),
    ] {
        shop.write(FILE, &text);
        let By::MigrationsInstead(why) = add(&built_fleet(&shop), name).await.built else {
            panic!("{name}");
        };
        assert!(why.starts_with(&format!("{FILE}:{number}: ")), "{why}");
        assert!(why.contains(words), "{why}");
        assert_same(&fleet, "plain", name).await;
    }
    assert_eq!(dump(&shop, &["--check"]).await.code, 6);
}

#[tokio::test]
async fn files_that_were_changed_after_the_dump_are_found() {
    let shop = dumped().await;
    let why = async |name: &str| match add(&built_fleet(&shop), name).await.built {
        By::MigrationsInstead(why) => why,
        by => panic!("{by:?}"),
    };
    let function = "tenant_migrations/functions/count_users.sql";
    let text = fs::read_to_string(shop.path().join(function)).unwrap();
    shop.write(
        function,
        "CREATE OR REPLACE FUNCTION count_users() RETURNS int LANGUAGE sql AS 'SELECT 1';\n",
    );
    let told = why("repeatable").await;
    assert!(told.contains("the repeatables were changed"), "{told}");
    shop.write(function, &text);
    shop.write(
        "migrations/2-more.up.sql",
        "ALTER TABLE plans ADD price int;\n",
    );
    shop.write(
        "migrations/2-more.down.sql",
        "ALTER TABLE plans DROP price;\n",
    );
    assert_eq!(shop.run(&["up", "--scope", "shared"]).code, 0);
    let told = why("of_shared").await;
    assert!(
        told.contains("the shared migrations were changed"),
        "{told}"
    );
    // A way back counts: it is what the history would store.
    shop.write("tenant_migrations/4-bad.down.sql", "SELECT 2;\n");
    let told = why("down").await;
    assert!(
        told.contains("the migrations up to 5 are not those"),
        "{told}"
    );
    let stale = dump(&shop, &["--check"]).await;
    assert_eq!(stale.code, 6, "{}", stale.screen());
}

#[tokio::test]
async fn a_file_that_does_not_run_leaves_nothing_and_the_migrations_do_it() {
    let shop = dumped().await;
    let text = fs::read_to_string(shop.path().join(FILE)).unwrap();
    let (_, line) = mark(&text);
    let (head, body) = text.split_once(&format!("{line}\n")).unwrap();
    let old = line.rsplit_once("body=").unwrap().1;
    let fleet = plain(&built_fleet(&shop));
    add(&fleet, "plain").await;
    for (name, tail) in [
        ("broken", "\nCREATE TABLE theirs ();\nSELECT 1 / 0;\n"),
        ("wanders", "\nSET LOCAL search_path = public;\n"),
    ] {
        let body = format!("{body}{tail}");
        let line = line.replace(old, &Checksum::of(&body).to_string());
        shop.write(FILE, &format!("{head}{line}\n{body}"));
        let added = shop.run(&["tenant", "add", name]);
        assert_eq!(added.code, 0, "{}", added.screen());
        let told = "not built from its structure, but by its migrations: ";
        assert!(added.stderr.contains(told), "{}", added.screen());
        assert_same(&fleet, "plain", name).await;
        assert!(hows(&shop, name).await.iter().all(|(_, how)| how == "run"));
    }
}

#[tokio::test]
async fn two_who_build_the_same_tenant_record_everything_once() {
    let shop = dumped().await;
    let fleet = built_fleet(&shop);
    let mut home = fleet.home().await.unwrap();
    let (name, shard) = (TenantName::new("acme").unwrap(), ShardName::new("main"));
    let state = TenantState::Provisioning;
    let labels = Labels::new();
    tenants::insert(home.connection(), &name, &shard, state, &labels)
        .await
        .unwrap();
    let tenant = tenants::get(home.connection(), &name)
        .await
        .unwrap()
        .unwrap();
    let both = futures::join!(
        provision::resume(&fleet, &tenant),
        provision::resume(&fleet, &tenant)
    );
    // Whoever comes too late may be told so, and nothing worse.
    assert!(both.0.is_ok() || both.1.is_ok(), "{both:?}");
    provision::resume(&fleet, &tenant).await.unwrap();
    assert_eq!(hows(&shop, "acme").await.len(), 5);
    add(&plain(&fleet), "blue").await;
    assert_same(&fleet, "acme", "blue").await;
}

#[tokio::test]
async fn migrations_that_leave_more_than_structure_are_named_by_dump() {
    let shop = shop().await;
    shop.migration(
        6,
        "seed",
        "ALTER TABLE users ADD plan int;\nINSERT INTO users (email, name) VALUES ('root', 'root');\n",
        "DELETE FROM users; ALTER TABLE users DROP plan;\n",
    );
    shop.migration(
        7,
        "more",
        "DO $$ begin end $$;\nALTER SEQUENCE orders_id_seq RESTART 1000;\nGRANT SELECT ON users TO PUBLIC;\n\
         ALTER TABLE users ADD CONSTRAINT short CHECK (email::varchar IN ('root', 'x'));\n",
        "ALTER TABLE users DROP CONSTRAINT short; REVOKE SELECT ON users FROM PUBLIC;\n",
    );
    let reasons = [
        "the migrations leave rows in the table users",
        "the migrations leave the sequence orders_id_seq elsewhere than at its start",
        "6-seed.up.sql:2: INSERT INTO may do more than change the structure",
        "7-more.up.sql:1: DO may do more than change the structure",
        "--trust 7)",
        "the migrations leave privileges on users; a file of the structure never stands for those",
        "7-more.up.sql:3: GRANT: what it leaves depends on the default privileges of the database",
    ];
    let written = dump(&shop, &[]).await;
    assert_eq!(written.code, 0, "{}", written.screen());
    let text = fs::read_to_string(shop.path().join(FILE)).unwrap();
    for reason in reasons {
        assert!(
            written.stderr.contains(reason),
            "{reason}: {}",
            written.screen()
        );
        assert!(text.contains(reason), "{reason}: {text}");
    }
    let checked = dump(&shop, &["--check"]).await;
    assert_eq!(checked.code, 64, "{}", checked.screen());
    assert!(
        checked.stdout.contains("is current"),
        "{}",
        checked.screen()
    );
    let checked = dump(&shop, &["--check", "--output", "json"]).await;
    let json = checked.json();
    assert_eq!((checked.code, &json["builds_tenants"]), (64, &false.into()));
    let listed: Vec<_> = json["builds_no_tenant"].as_array().unwrap().clone();
    assert!(
        listed
            .iter()
            .any(|why| why.as_str().unwrap().contains(reasons[0])),
        "{json}"
    );
    // The migrations do it, rows and all.
    assert_eq!(shop.run(&["tenant", "add", "acme"]).code, 0);
    let rows: i64 = sqlx::query_scalar("select count(*) from acme.users")
        .fetch_one(&mut shop.database.connect().await)
        .await
        .unwrap();
    assert_eq!(rows, 1);
    // What was looked at is not believed away.
    let trusted = dump(&shop, &["--trust", "6", "--trust", "7", "--privileges"]).await;
    assert!(trusted.stderr.contains(reasons[0]), "{}", trusted.screen());
    assert!(
        !trusted.stderr.contains("may do more"),
        "{}",
        trusted.screen()
    );
    for reason in &reasons[5..] {
        assert!(trusted.stderr.contains(reason), "{}", trusted.screen());
    }
}

#[tokio::test]
async fn somebody_who_knows_better_can_say_so() {
    let shop = shop().await;
    shop.migration(
        6,
        "block",
        "DO $$ begin execute 'CREATE TABLE late ()'; end $$;\n",
        "DROP TABLE late;\n",
    );
    let doubted = dump(&shop, &["--check"]).await;
    assert_eq!(doubted.code, 6, "{}", doubted.screen());
    let trusted = dump(&shop, &["--trust", "6"]).await;
    assert_eq!((trusted.code, trusted.stderr.as_str()), (0, ""));
    let checked = dump(&shop, &["--check", "--trust", "6"]).await;
    assert_eq!(checked.code, 0, "{}", checked.screen());
    assert!(
        checked
            .stdout
            .ends_with("; new tenants can be built from it\n"),
        "{}",
        checked.screen()
    );
    let fleet = built_fleet(&shop);
    add(&plain(&fleet), "acme").await;
    assert_eq!(add(&fleet, "blue").await.built, By::Structure);
    assert_same(&fleet, "acme", "blue").await;
}

/// Lets a role of every server read the tables that are made, and nobody run the functions.
async fn set_default_privileges(shop: &Shop) {
    let mut connection = shop.database.connect().await;
    for statement in [
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ] {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

async fn can_read(shop: &Shop, table: &str) -> bool {
    sqlx::query_scalar("select has_table_privilege('pg_monitor', $1, 'select')")
        .bind(table)
        .fetch_one(&mut shop.database.connect().await)
        .await
        .unwrap()
}

/// Why nobody is built from what is dumped; it is written as well.
async fn why_not(shop: &Shop, arguments: &[&str]) -> Vec<String> {
    let dumped = dump(shop, &[arguments, &["--output", "json"]].concat()).await;
    assert_eq!(dumped.code, 0, "{}", dumped.screen());
    let list = dumped.json()["builds_no_tenant"].clone();
    serde_json::from_value(list).unwrap()
}

#[tokio::test]
async fn privileges_are_never_left_to_the_file() {
    let shop = shop().await;
    // On the scratch server this changes nothing, and nothing shows it.
    shop.migration(
        6,
        "secret",
        "SELECT 1;\nREVOKE ALL ON orders FROM pg_monitor;\n",
        "SELECT 1;\n",
    );
    shop.migration(
        7,
        "hidden",
        "DO $$ begin execute 'revoke all on users from pg_monitor'; end $$;\n",
        "SELECT 1;\n",
    );
    set_default_privileges(&shop).await;
    let reasons = [
        "6-secret.up.sql:2: REVOKE: what it leaves depends on the default privileges of the database",
        "7-hidden.up.sql:1: a block with REVOKE: what it leaves depends on the default privileges",
    ];
    for more in [&[][..], &["--privileges"]] {
        let found = why_not(&shop, &[&["--trust", "6", "--trust", "7"], more].concat()).await;
        for reason in reasons {
            assert!(found.iter().any(|why| why.contains(reason)), "{found:?}");
        }
    }
    let fleet = built_fleet(&shop);
    add(&plain(&fleet), "acme").await;
    let By::MigrationsInstead(_) = add(&fleet, "blue").await.built else {
        panic!("it was built from the file");
    };
    assert_same(&fleet, "acme", "blue").await;
    assert!(!can_read(&shop, "blue.orders").await);
    assert!(!can_read(&shop, "blue.users").await);
    assert!(can_read(&shop, "blue.good_orders").await);
}

#[tokio::test]
async fn default_privileges_of_the_database_are_the_same_either_way() {
    let shop = dumped().await;
    set_default_privileges(&shop).await;
    let fleet = built_fleet(&shop);
    add(&plain(&fleet), "acme").await;
    assert_eq!(add(&fleet, "blue").await.built, By::Structure);
    assert_same(&fleet, "acme", "blue").await;
    assert!(can_read(&shop, "blue.orders").await);
}

#[tokio::test]
async fn changed_rows_are_doubted_where_a_script_may_write_elsewhere() {
    let shop = shop().await;
    let settings = format!("[migrations]\nstructure = \"{FILE}\"\n");
    shop.write(
        "tenantry.toml",
        &format!("{settings}also_writes = [\"public\"]\n"),
    );
    shop.migration(
        6,
        "more",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';\n\
         ALTER TABLE orders ADD one int DEFAULT one();\nTRUNCATE orders;\n",
        "ALTER TABLE orders DROP one; DROP FUNCTION one;\n",
    );
    let found = why_not(&shop, &[]).await;
    let words = [
        "5-names.up.sql:1: UPDATE may run code that writes to a schema of migrations.also_writes",
        "6-more.up.sql:2: a function in DEFAULT may run code",
        "6-more.up.sql:3: TRUNCATE may run code",
    ];
    assert_eq!(found.len(), words.len(), "{found:?}");
    for (found, words) in found.iter().zip(words) {
        assert!(found.contains(words), "{found}");
    }
    let trusted = why_not(&shop, &["--trust", "5", "--trust", "6"]).await;
    assert_eq!(trusted, Vec::<String>::new());
    let added = shop.run(&["tenant", "add", "acme", "--output", "json"]);
    assert_eq!(added.json()["built_by"], "structure", "{}", added.screen());
}

#[tokio::test]
async fn settings_that_were_changed_after_the_dump_are_found() {
    let shop = dumped().await;
    let settings = format!("[migrations]\nstructure = \"{FILE}\"\n");
    for (name, setting) in [
        ("path", "extra_search_path = [\"public\"]"),
        ("writes", "also_writes = [\"public\"]"),
    ] {
        shop.write("tenantry.toml", &format!("{settings}{setting}\n"));
        let added = shop.run(&["tenant", "add", name, "--output", "json"]);
        let json = added.json();
        assert_eq!(json["built_by"], "migrations", "{}", added.screen());
        let why = json["not_built_from_structure"].as_str().unwrap();
        assert!(why.contains("was changed since it was written"), "{why}");
        assert!(why.contains("extra_search_path"), "{why}");
        assert_eq!(dump(&shop, &["--check"]).await.code, 6);
    }
    shop.write("tenantry.toml", &settings);
    assert_eq!(add(&built_fleet(&shop), "same").await.built, By::Structure);
}

#[tokio::test]
async fn what_is_of_its_day_or_of_everybody_is_named() {
    let shop = shop().await;
    shop.migration(
        6,
        "days",
        "CREATE TABLE days (at timestamptz DEFAULT 'now') PARTITION BY RANGE (at);\n\
         CREATE TABLE first PARTITION OF days FOR VALUES FROM (MINVALUE) TO (now());\n\
         CREATE TABLE last PARTITION OF days FOR VALUES FROM ('9000-01-01') TO (MAXVALUE);\n\
         COMMENT ON TYPE mood IS 'how';\n\
         COMMENT ON TYPE text IS 'words';\n",
        "DROP TABLE days;\n",
    );
    let found = why_not(&shop, &[]).await;
    let words = [
        "6-days.up.sql:1: the string 'now' may be worked out when the file is written",
        "6-days.up.sql:2: a function in FOR VALUES may be worked out when the file is written",
        "6-days.up.sql:5: COMMENT ON may do more than change the structure",
    ];
    assert_eq!(found.len(), words.len(), "{found:?}");
    for (found, words) in found.iter().zip(words) {
        assert!(found.contains(words), "{found}");
    }
}

#[tokio::test]
async fn the_sample_set_builds_tenants() {
    let (database, directory) = (database().await, tempfile::tempdir().unwrap());
    let file = directory.path().join(FILE);
    let output = tenantry()
        .args(["dump", "--output", "json", "--server", server().await.url()])
        .arg("--file")
        .arg(&file)
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["builds_tenants"], true, "{json}");
    let sample = fleet::sample(&database.url);
    sample.up().await.unwrap().complete().unwrap();
    add(&sample, "acme").await;
    let text = fs::read_to_string(&file).unwrap();
    let sample = sample.with_structure(FILE, &text);
    assert_eq!(add(&sample, "blue").await.built, By::Structure);
    assert_same(&sample, "acme", "blue").await;
}
