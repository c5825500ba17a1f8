//! Every check finds on a real server what it is for, and nothing where all is well.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tenantry::{
    Fleet, Settings,
    doctor::{
        CHECKS, Check, Finding, Patient, Severity,
        checks::{
            CatalogSize, Clock, LeftoverLocks, OldTransactions, PreparedTransactions, ServerVersion,
        },
        examine,
    },
    sql::Ident,
    store::tenants,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{Shop, Small, server, small, snapshots, write_or_compare};

/// What one check says of the first shard of a fleet.
async fn look(check: &dyn Check, fleet: &Fleet) -> Vec<tenantry::doctor::Found> {
    let shard = fleet.shards.iter().next().unwrap();
    let mut home = fleet.home().await.unwrap();
    let tenants = tenants::list(home.connection()).await.unwrap_or_default();
    let mut patient = Patient {
        fleet,
        shard,
        is_shard: true,
        is_home: true,
        has_tables: true,
        tenants: Some(&tenants),
        session: shard.connect().await.unwrap(),
        plain: shard.pool(1).acquire().await.unwrap(),
    };
    check.look(&mut patient).await.unwrap()
}

/// As [`look`], and fails unless something is wrong, and `value` is a part of what is said of it.
async fn finds(check: &dyn Check, fleet: &Fleet, value: &str) {
    let found = look(check, fleet).await;
    let bad = found.iter().find(|found| found.severity != Severity::Ok);
    let bad = bad.unwrap_or_else(|| panic!("{} finds nothing: {found:?}", check.name()));
    assert!(bad.value.contains(value), "{}: {found:?}", check.name());
    assert!(bad.remedy.is_some(), "{}: {found:?}", check.name());
}

/// The same fleet for a login role that may do nothing.
async fn as_stranger(small: &Small) -> (Fleet, String) {
    let database: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut small.connect().await)
        .await
        .unwrap();
    let role = format!("stranger_{database}");
    small
        .run(&format!("create role {role} login password 'x'"))
        .await;
    let url = small.database.url.split_once("://").unwrap().1;
    let (_, place) = url.split_once('@').unwrap();
    let url = format!("postgres://{role}:x@{place}");
    let fleet = Fleet::without_files(&Settings::at(&url).unwrap()).unwrap();
    (fleet, role)
}

#[tokio::test]
async fn every_check_finds_what_it_is_for() {
    // Each on a fleet of its own, a few at a time.
    for some in CHECKS.chunks(8) {
        let provoked = some.iter().map(async |check| {
            let small = small(1).await;
            small.add("acme").await;
            provoke(*check, &small).await;
        });
        futures::future::join_all(provoked).await;
    }
    let mut names: Vec<_> = CHECKS.iter().map(|check| check.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len(), "names are used twice");
}

/// Makes what a check is for, and sees that it is found.
async fn provoke(check: &'static dyn Check, small: &Small) {
    let name = check.name();
    let mut fleet = small.fleet.clone();
    match name {
        "lock-table" => {
            fleet.at_once(4);
            fleet.limits.locks = 1_000_000;
            finds(check, &fleet, "4000000 of them").await;
        }
        "connections" => {
            fleet.at_once(5_000);
            finds(check, &fleet, "tenantry takes 5001").await;
        }
        "pooler" => finds(check, &through_a_pooler(small).await, "a pooler is between").await,
        // As they are on a server that was made for tests.
        "idle-in-transaction" => finds(check, &fleet, "without a limit").await,
        "durability" => finds(check, &fleet, "fsync is off").await,
        "superuser" => finds(check, &fleet, "is a superuser").await,
        "server-version" => {
            let check = ServerVersion {
                oldest: 99,
                newest: 99,
            };
            finds(&check, &fleet, "supported are 99").await;
            let check = ServerVersion {
                oldest: 9,
                newest: 9,
            };
            finds(&check, &fleet, "supported are 9").await;
        }
        "pool" => {
            (fleet.provision.pool_min, fleet.provision.pool_max) = (2, 4);
            finds(check, &fleet, "0 of 0 are ready, which is less than 2").await;
            let audit = tenantry::sql::Ident::new("audit").unwrap();
            fleet.limits.also_writes.push(audit);
            finds(check, &fleet, "nobody is built ahead").await;
        }
        "catalog-size" => finds(&CatalogSize { advised: 10 }, &fleet, "relations").await,
        "clock" => {
            let now = || Timestamp::now() - SignedDuration::from_mins(60);
            let apart = SignedDuration::from_secs(2);
            finds(&Clock { now, apart }, &fleet, "ms apart").await;
        }
        _ => provoke_by_sql(check, small).await,
    }
}

async fn provoke_by_sql(check: &'static dyn Check, small: &Small) {
    let fleet = &small.fleet;
    let (sql, value) = match check.name() {
        "read-only" => (
            "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
            "read-only",
        ),
        "role-settings" => (
            "do $$ begin execute format('alter database %I set statement_timeout = ''3s''', current_database()); end $$",
            "statement_timeout=3s",
        ),
        "tables-version" => (
            "insert into tenantry.installed (part, number) values ('shard', 99)",
            "at 99",
        ),
        "public-schemas" => ("grant create on schema public to public", "in public"),
        "vacuum" => (
            "alter table tenantry.heads set (autovacuum_enabled = off)",
            "off for tenantry.heads",
        ),
        "record" => ("drop schema acme cascade", "gone: acme"),
        "unknown-schemas" => ("create schema walk_in", "walk_in"),
        "leftover-copies" => (
            "create schema tenantry_rehearsal_7;
             comment on schema tenantry_rehearsal_7 is 'made by tenantry rehearse, which removes it at its end'",
            "tenantry_rehearsal_7 is a copy",
        ),
        _ => return provoke_with_a_session(check, small).await,
    };
    small.run(sql).await;
    if check.name() == "tables-version" || check.name() == "read-only" {
        // Nobody else than the doctor goes on here.
        let examined = examine(fleet).await;
        let bad = examined.findings.iter().find(|f| f.check == check.name());
        assert_eq!(bad.unwrap().severity, Severity::Error, "{examined:?}");
        assert!(bad.unwrap().value.contains(value), "{examined:?}");
    } else {
        finds(check, fleet, value).await;
    }
}

async fn provoke_with_a_session(check: &'static dyn Check, small: &Small) {
    let fleet = &small.fleet;
    let mut session = small.connect().await;
    let older_than = Duration::ZERO;
    match check.name() {
        "invalid-indexes" => {
            small
                .run("create table acme.t (i int); insert into acme.t values (1), (1)")
                .await;
            let refused = sqlx::query("create unique index concurrently broken on acme.t (i)")
                .execute(&mut session)
                .await;
            assert!(refused.is_err());
            finds(check, fleet, "1 invalid: acme.broken").await;
        }
        "leftover-locks" => {
            run(
                &mut session,
                "select pg_advisory_lock((1953395321::bigint << 32) | 7)",
            )
            .await;
            finds(&LeftoverLocks { older_than }, fleet, "holds one").await;
        }
        "old-transactions" => {
            run(&mut session, "begin; select 1").await;
            finds(
                &OldTransactions { older_than },
                fleet,
                "idle in transaction",
            )
            .await;
        }
        "prepared-transactions" => {
            run(
                &mut session,
                "begin; select 1; prepare transaction 'lost one'",
            )
            .await;
            finds(&PreparedTransactions { older_than }, fleet, "'lost one'").await;
            run(&mut session, "rollback prepared 'lost one'").await;
        }
        "create-schemas" | "own-tables" | "monitoring" => by_a_stranger(check, small).await,
        "encoding" => {
            let name = Ident::new(format!("latin_{}", std::process::id())).unwrap();
            let sql =
                format!("create database {name} encoding 'LATIN1' locale 'C' template template0");
            run(&mut session, &sql).await;
            let url = server().await.url_of(&name);
            let fleet = Fleet::without_files(&Settings::at(&url).unwrap()).unwrap();
            finds(check, &fleet, "LATIN1").await;
        }
        unknown => panic!("nothing provokes {unknown}"),
    }
}

async fn by_a_stranger(check: &'static dyn Check, small: &Small) {
    let (fleet, role) = as_stranger(small).await;
    let examined = examine(&fleet).await;
    let bad = examined.findings.iter().find(|f| f.check == check.name());
    let bad = bad.unwrap_or_else(|| panic!("{} says nothing: {examined:?}", check.name()));
    assert!(bad.severity > Severity::Ok, "{bad:?}");
    // What is said to mend it, mends it.
    let remedy = bad.remedy.clone().unwrap();
    assert!(remedy.contains(&role), "{remedy}");
    small.run(&remedy).await;
    let examined = examine(&fleet).await;
    let mut again = examined.findings.iter().filter(|f| f.check == check.name());
    assert!(again.all(|f| f.severity == Severity::Ok), "{examined:?}");
    small
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

async fn run(session: &mut PgConnection, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(session).await.unwrap();
}

/// The same fleet through something that keeps the settings for itself that a connection asks for, as poolers do.
async fn through_a_pooler(small: &Small) -> Fleet {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (before, place) = small.database.url.rsplit_once('@').unwrap();
    let (host, database) = place.split_once('/').unwrap();
    let url = format!("{before}@127.0.0.1:{port}/{database}?sslmode=disable");
    let host = host.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&host).await.unwrap();
            tokio::spawn(between(client, server));
        }
    });
    Fleet::without_files(&Settings::at(&url).unwrap()).unwrap()
}

async fn between(mut client: TcpStream, mut server: TcpStream) {
    let mut first = vec![0; 4096];
    let length = client.read(&mut first).await.unwrap();
    let asked = b"tenantry.session=direct";
    // Only sessions of tenantry ask for it.
    let at = first.windows(asked.len()).position(|part| part == asked);
    if let Some(at) = at {
        first[at + asked.len() - 1] = b'x';
    }
    server.write_all(&first[..length]).await.unwrap();
    // Whichever side ends first ends both.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

fn bad(findings: &[Finding]) -> Vec<(&str, &str, Severity)> {
    let bad = findings.iter().filter(|f| f.severity > Severity::Ok);
    bad.map(|f| (f.database.as_str(), f.check, f.severity))
        .collect()
}

/// What a server that was made for tests has in any case.
const USUAL: [&str; 6] = [
    "durability",
    "durability",
    "durability",
    "idle-in-transaction",
    "superuser",
    "public-schemas",
];

#[tokio::test]
async fn a_fleet_that_is_well_has_no_errors() {
    let small = small(1).await;
    small.add("acme").await;
    let examined = examine(&small.fleet).await;
    let unusual: Vec<_> = bad(&examined.findings)
        .into_iter()
        .filter(|(_, check, _)| !USUAL.contains(check))
        .collect();
    assert!(unusual.is_empty(), "{unusual:?}");
    assert_eq!(examined.count(Severity::Error), 0);
    // The home database is the shard: it is looked at once, and every check speaks.
    assert_eq!(examined.databases.len(), 1);
    for check in CHECKS {
        let said = examined.findings.iter().any(|f| f.check == check.name());
        assert!(said, "{} says nothing", check.name());
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_finding() {
    let small = small(1).await;
    let text = |shard: &str| {
        let url = &small.database.url;
        format!(
            "[home]\nurl = \"{url}\"\nconnect_timeout = \"2s\"\n[shards.main]\nurl = \"{url}\"\n[shards.other]\nurl = \"{shard}\""
        )
    };
    let fleet = |shard: &str| {
        let settings = Settings::parse(&text(shard)).unwrap();
        Fleet::without_files(&settings).unwrap()
    };
    let examined = examine(&fleet("postgres://nobody@127.0.0.1:1/nothing")).await;
    assert!(examined.reached_any());
    let errors = bad(&examined.findings);
    assert!(
        errors.contains(&("other", "connection", Severity::Error)),
        "{errors:?}"
    );
    assert!(
        errors.iter().any(|(database, _, _)| *database == "main"),
        "{errors:?}"
    );

    // Two shards that are one database.
    let examined = examine(&fleet(&small.database.url)).await;
    let errors = bad(&examined.findings);
    assert!(
        errors.contains(&("other", "same-database", Severity::Error)),
        "{errors:?}"
    );
}

#[tokio::test]
async fn tenants_cost_no_further_questions() {
    use crate::support::{fleet::empty_tenants, proxy::Proxy};
    let mut questions = Vec::new();
    for tenants in [1, 200] {
        let small = small(1).await;
        empty_tenants(&small.database, &small.fleet, tenants).await;
        let proxy = Proxy::start(&small.database.url).await;
        let settings = Settings::at(&proxy.url_for(&small.database.url)).unwrap();
        let examined = examine(&Fleet::without_files(&settings).unwrap()).await;
        assert!(examined.reached_any());
        questions.push(proxy.traffic().round_trips);
    }
    assert_eq!(questions[0], questions[1]);
}

#[tokio::test]
async fn the_command_says_what_mends_it() {
    let shop = Shop::with(&["acme", "blue"]).await;
    shop.sql("drop schema blue cascade").await;
    let told = shop.run(&["doctor"]);
    assert_eq!(told.code, 1, "{}", told.screen());
    for part in [
        "main (the home database and a shard, PostgreSQL ",
        "error    record: tenants whose schema is gone: blue",
        "→ restore the schema, then `tenantry tenant import TENANT`",
        "1 error, ",
        "checks are well",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.screen());
    }
    let all = shop.run(&["doctor", "--all"]);
    assert!(
        all.stdout.contains("ok       read-only: takes writes"),
        "{}",
        all.screen()
    );

    let json = shop.run(&["doctor", "--output", "json"]);
    assert_eq!(json.code, 1);
    let mut json = json.json();
    // What differs from server to server has no place in a snapshot.
    let findings = json["findings"].as_array_mut().unwrap();
    findings.retain(|finding| finding["check"] == "record" || finding["check"] == "read-only");
    for key in ["errors", "warnings", "notes"] {
        assert!(json[key].is_u64(), "{json}");
        json[key] = 0.into();
    }
    json["databases"][0]["version"] = "15.0".into();
    snapshots().bind(|| insta::assert_json_snapshot!("doctor_json", json));
}

#[tokio::test]
async fn nothing_reachable_has_an_exit_code_of_its_own() {
    let shop = Shop::with(&[]).await;
    let mut command = shop.command(&["doctor"]);
    command.env("TENANTRY__HOME__URL", "postgres://nobody@127.0.0.1:1/x");
    let told = crate::support::Ran::of(command);
    assert_eq!(told.code, 69, "{}", told.screen());
    assert!(told.stdout.contains("no answer"), "{}", told.screen());
}

#[test]
fn the_table_of_checks_is_current() {
    const PAGE: &str = "docs/doctor.md";
    const BEGIN: &str = "<!-- Made by a test from here on. -->\n";
    const END: &str = "<!-- Up to here. -->\n";
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let mut table = "| check | looks at | why it matters |\n|---|---|---|\n".to_owned();
    for check in CHECKS {
        table += &format!(
            "| `{}` | {} | {} |\n",
            check.name(),
            check.looks_at(),
            check.why()
        );
    }
    let made = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    write_or_compare(PAGE, &page, &made, page == made);
}

/// A server whose settings are all too small, seen by the command.
#[tokio::test]
async fn a_server_that_is_too_small_is_told() {
    use crate::support::options;
    let options = options()
        .max_connections(10)
        .setting("max_locks_per_transaction", "10")
        .setting("autovacuum", "off");
    // A server that is shared has settings that are not ours.
    let server = tenantry::verify::scratch::Server::start(&options)
        .await
        .unwrap();
    if server.kind() == "url" {
        return;
    }
    let settings = Settings::at(server.url()).unwrap();
    let examined = examine(&Fleet::without_files(&settings).unwrap()).await;
    let found = bad(&examined.findings);
    for expected in [
        ("main", "lock-table", Severity::Error),
        ("main", "connections", Severity::Warning),
        ("main", "vacuum", Severity::Error),
        ("main", "tables-version", Severity::Note),
    ] {
        assert!(found.contains(&expected), "{expected:?}: {found:?}");
    }
    // The session that looked is gone: nothing of us is left on the server.
    let mut connection = PgConnection::connect(server.url()).await.unwrap();
    let schemas: i64 =
        sqlx::query_scalar("select count(*) from pg_namespace where nspname = 'tenantry'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(schemas, 0);
    server.stop().await.unwrap();
}
