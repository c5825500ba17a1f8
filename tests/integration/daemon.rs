//! The daemon: what it does by itself, what it answers, and how it ends.

use std::{net::SocketAddr, path::PathBuf};

use futures::future::try_join;
use sqlx::PgConnection;
use tempfile::TempDir;
use tenantry::{
    config::Settings,
    daemon::{self, DaemonError},
    fleet::Fleet,
    store::tenants::{self, Labels},
    tenant::{ShardName, TenantName, TenantState},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, database, pooler::Pooler, server, tenantry, until};

fn settings(url: &str, more: &[(&str, &str)]) -> Settings {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let list = |name: &str| root.join(name).display().to_string();
    let mut environment = vec![
        ("TENANTRY__HOME__URL", url.to_owned()),
        ("TENANTRY__MIGRATIONS__SHARED", list("migrations")),
        ("TENANTRY__MIGRATIONS__TENANT", list("tenant_migrations")),
        ("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0".to_owned()),
        ("TENANTRY__DAEMON__PROVISION_INTERVAL", "20ms".to_owned()),
    ];
    environment.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    Settings::load(None, environment).unwrap()
}

/// Status and body of an answer.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// The same, with a token.
async fn get_with(address: SocketAddr, path: &str, token: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Runs a daemon while `test` runs, then asks it to end, which must not take longer than its grace.
async fn with_daemon(settings: Settings, test: impl AsyncFnOnce(SocketAddr)) {
    end_daemon(settings, test, async |_| {}).await.unwrap();
}

/// The same, with something to do as soon as it was asked to end.
async fn end_daemon(
    settings: Settings,
    test: impl AsyncFnOnce(SocketAddr),
    ending: impl AsyncFnOnce(SocketAddr),
) -> Result<(), DaemonError> {
    let built = daemon::build(settings).await.unwrap();
    let address = built.address().unwrap();
    let stop = CancellationToken::new();
    let run = built.run(stop.clone().cancelled_owned());
    let test = async {
        test(address).await;
        stop.cancel();
        ending(address).await;
    };
    // An end that is late is no Ok: `daemon.grace` sees to it.
    futures::join!(test, run).1
}

/// Settings with a shared migration that lasts until it is let go; returns the files too.
async fn slow(database: &Database, grace: &str) -> (Settings, TempDir) {
    sqlx::raw_sql("create table public.hold as select 1 as one")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let files = TempDir::new().unwrap();
    let up = "create table slow ();
              do $$ begin while exists (select from public.hold) loop perform pg_sleep(0.05); end loop; end $$";
    std::fs::write(files.path().join("1-slow.up.sql"), up).unwrap();
    std::fs::write(files.path().join("1-slow.down.sql"), "drop table slow").unwrap();
    let shared = files.path().display().to_string();
    let more = [
        ("TENANTRY__MIGRATIONS__SHARED", shared.as_str()),
        ("TENANTRY__DAEMON__GRACE", grace),
    ];
    (settings(&database.url, &more), files)
}

async fn let_go(database: &Database) {
    sqlx::raw_sql("delete from public.hold")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
}

async fn is_asleep(database: &Database) {
    let mut connection = database.connect().await;
    until("it is asleep", async || {
        let asleep = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event = 'PgSleep'";
        count(&mut connection, asleep).await == 1
    })
    .await;
}

async fn register(database: &Database, name: &str) {
    let mut connection = database.connect().await.into();
    let (name, shard) = (TenantName::new(name).unwrap(), ShardName::new("main"));
    let state = TenantState::Provisioning;
    assert!(
        tenants::insert(&mut connection, &name, &shard, state, &Labels::new())
            .await
            .unwrap()
    );
}

async fn count(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

const ACTIVE: &str = "select count(*) from tenantry.tenants where state = 'active'";

/// Nothing of tenantry is left on the server: no session, hence no lock.
async fn is_quiet(database: &Database) {
    let mut connection = database.connect().await;
    until("no session is left", async || {
        let sessions = "select count(*) from pg_stat_activity
                         where datname = current_database() and application_name = 'tenantry'";
        let locks = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                      where d.datname = current_database() and l.locktype = 'advisory'";
        count(&mut connection, sessions).await == 0 && count(&mut connection, locks).await == 0
    })
    .await;
}

#[tokio::test]
async fn works_through_a_pooler() {
    let database = database().await;
    let Some(pooler) = Pooler::start(&database.url, "").await else {
        return;
    };
    // The sample set builds an index concurrently, which needs a session of its own.
    let direct = [("TENANTRY__HOME__DIRECT_URL", database.url.as_str())];
    let settings = settings(&pooler.url_for(&database.url), &direct);
    with_daemon(settings, async |address| {
        until("it is ready", async || {
            get(address, "/readyz").await.0 == 200
        })
        .await;
        for name in ["acme", "blue", "coral", "dune"] {
            register(&database, name).await;
        }
        let mut connection = database.connect().await;
        until("all are active", async || {
            count(&mut connection, ACTIVE).await == 4
        })
        .await;
        assert_eq!(get(address, "/readyz").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn makes_schemas_from_the_file_of_the_structure_where_there_is_one() {
    let database = database().await;
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("structure.sql");
    let dumped = tenantry()
        .args(["dump", "--server", server().await.url(), "--file"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let file = file.display().to_string();
    let settings = settings(&database.url, &[("TENANTRY__MIGRATIONS__STRUCTURE", &file)]);
    with_daemon(settings, async |address| {
        until("it is ready", async || {
            get(address, "/readyz").await.0 == 200
        })
        .await;
        register(&database, "acme").await;
        let mut connection = database.connect().await;
        until("it is active", async || {
            count(&mut connection, ACTIVE).await == 1
        })
        .await;
        let hows = "select count(distinct how) + count(*) filter (where how <> 'structure') from tenantry.history
                     where schema_name = 'acme'";
        assert_eq!(count(&mut connection, hows).await, 1);
    })
    .await;
}

#[tokio::test]
async fn applies_what_is_pending_and_makes_schemas() {
    let database = database().await;
    let settings = settings(&database.url, &[]);
    let fleet = Fleet::open(&settings).unwrap();
    with_daemon(settings, async |address| {
        until("it is ready", async || get(address, "/readyz").await.0 == 200).await;
        let mut connection = database.connect().await;
        let shared = "select count(*) from tenantry.heads where schema_name = 'shared' and version is not null";
        assert_eq!(count(&mut connection, shared).await, 1);

        register(&database, r#"we"ird; drop schema public cascade--"#).await;
        register(&database, "acme").await;
        until("both are active", async || count(&mut connection, ACTIVE).await == 2).await;
        let applied = "select count(*) from tenantry.history h join tenantry.heads using (schema_oid)
                        where h.schema_name = 'acme' and h.state = 'applied'";
        let migrations = i64::try_from(fleet.tenant.migrations.len()).unwrap();
        assert_eq!(count(&mut connection, applied).await, migrations);
        assert_eq!(get(address, "/healthz").await.0, 200);
        let (status, answer) = get(address, "/").await;
        assert_eq!(status, 404);
        assert!(answer.contains("application/problem+json"), "{answer}");
    })
    .await;
    is_quiet(&database).await;
}

#[tokio::test]
async fn two_daemons_share_the_work() {
    let database = database().await;
    let settings = settings(&database.url, &[]);
    let (one, other) = try_join(
        daemon::build(settings.clone()),
        daemon::build(settings.clone()),
    )
    .await
    .unwrap();
    let addresses = [one.address().unwrap(), other.address().unwrap()];
    let stop = CancellationToken::new();
    let test = async {
        for address in addresses {
            until("it is ready", async || {
                get(address, "/readyz").await.0 == 200
            })
            .await;
        }
        let mut connection = database.connect().await;
        for number in 0..8 {
            register(&database, &format!("tenant{number}")).await;
        }
        until("all are active", async || {
            count(&mut connection, ACTIVE).await == 8
        })
        .await;
        let twice = "select count(*) from (select from tenantry.history group by schema_oid, version having count(*) > 1) t";
        assert_eq!(count(&mut connection, twice).await, 0);
        stop.cancel();
    };
    let (one, other, ()) = futures::join!(
        one.run(stop.clone().cancelled_owned()),
        other.run(stop.clone().cancelled_owned()),
        test
    );
    one.unwrap();
    other.unwrap();
    is_quiet(&database).await;
}

#[tokio::test]
async fn lives_without_a_database_and_is_not_ready() {
    // A port that was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let url = format!("postgres://nobody:hidden-word@127.0.0.1:{port}/nothing");
    with_daemon(settings(&url, &[]), async |address| {
        assert_eq!(get(address, "/healthz").await.0, 200);
        let (status, answer) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert!(answer.ends_with(
            r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the home database does not answer"}"#
        ));
        assert!(!answer.contains("hidden-word") && !answer.contains("nobody"));
    })
    .await;
}

#[tokio::test]
async fn is_not_ready_while_a_shared_migration_fails_until_it_is_mended() {
    let files = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    // What a sequence has given is not taken back: so it is seen that the migration was tried.
    write("1-plans.up.sql", "select nextval('public.tried') / 0");
    write("1-plans.down.sql", "select 1");
    let database = database().await;
    sqlx::raw_sql("create sequence public.tried")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let shared = files.path().display().to_string();
    let settings = settings(&database.url, &[("TENANTRY__MIGRATIONS__SHARED", &shared)]);
    with_daemon(settings, async |address| {
        let mut connection = database.connect().await;
        until("it has tried", async || {
            let tried = "select count(*) from public.tried where is_called";
            count(&mut connection, tried).await == 1
        })
        .await;
        register(&database, "acme").await;
        let (status, answer) = get(address, "/readyz").await;
        assert_eq!(status, 503);
        assert!(
            answer.contains("what was pending at the start is not applied"),
            "{answer}"
        );
        assert_eq!(count(&mut connection, ACTIVE).await, 0);

        // No table of this name would be there if the text from the start were tried again.
        write("1-plans.up.sql", "create table plans (id int)");
        until("it is ready", async || {
            get(address, "/readyz").await.0 == 200
        })
        .await;
        let plans = "select count(*) from pg_tables where tablename = 'plans'";
        assert_eq!(count(&mut connection, plans).await, 1);
        until("acme is active", async || {
            count(&mut connection, ACTIVE).await == 1
        })
        .await;
    })
    .await;
    is_quiet(&database).await;
}

#[tokio::test]
async fn what_is_running_ends_first() {
    let database = database().await;
    let (settings, _files) = slow(&database, "20s").await;
    let ending = async |address| {
        until("it is ending", async || {
            get(address, "/readyz")
                .await
                .1
                .contains("the daemon is ending")
        })
        .await;
        is_asleep(&database).await;
        let_go(&database).await;
    };
    let ended = end_daemon(settings, async |_| is_asleep(&database).await, ending).await;
    assert!(ended.is_ok(), "{ended:?}");
    is_quiet(&database).await;
    let applied = "select count(*) from tenantry.history where name = 'slow' and state = 'applied'";
    assert_eq!(count(&mut database.connect().await, applied).await, 1);
}

#[tokio::test]
async fn what_takes_too_long_is_cut_off_and_rolled_back() {
    let database = database().await;
    let (settings, _files) = slow(&database, "300ms").await;
    let ended = end_daemon(settings, async |_| is_asleep(&database).await, async |_| {}).await;
    assert!(matches!(ended, Err(DaemonError::Grace(_))), "{ended:?}");
    is_quiet(&database).await;
    let tables = "select count(*) from pg_class where relname = 'slow'";
    assert_eq!(count(&mut database.connect().await, tables).await, 0);
}

#[tokio::test]
async fn who_does_not_want_to_wait_has_it_cancelled() {
    let database = database().await;
    let (settings, _files) = slow(&database, "10min").await;
    let built = daemon::build(settings).await.unwrap();
    let (stop, cut) = (CancellationToken::new(), built.cut());
    let test = async {
        is_asleep(&database).await;
        stop.cancel();
        cut.cancel();
    };
    let run = built.run(stop.clone().cancelled_owned());
    let (ended, ()) = futures::join!(run, test);
    assert!(matches!(ended, Err(DaemonError::Cut)), "{ended:?}");
    is_quiet(&database).await;
    let tables = "select count(*) from pg_class where relname = 'slow'";
    assert_eq!(count(&mut database.connect().await, tables).await, 0);
}

#[tokio::test]
async fn other_machines_are_kept_out() {
    let open = settings("postgres://", &[("TENANTRY__DAEMON__LISTEN", "0.0.0.0:0")]);
    let refused = daemon::build(open).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("`daemon.listen` is 0.0.0.0:0, which other machines reach"),
        "{refused}"
    );
}

#[tokio::test]
async fn figures_are_for_whoever_has_the_token() {
    let database = database().await;
    let token = "0123456789abcdef0123456789abcdef";
    let with = settings(&database.url, &[("TENANTRY__DAEMON__METRICS_TOKEN", token)]);
    with_daemon(with, async |address| {
        let (status, answer) = get(address, "/metrics").await;
        assert_eq!(status, 401, "{answer}");
        assert!(
            answer.to_lowercase().contains("www-authenticate: bearer"),
            "{answer}"
        );
        assert_eq!(
            get_with(address, "/metrics", "0123456789abcdef").await.0,
            401
        );
        until("the daemon lives", async || {
            get_with(address, "/metrics", token)
                .await
                .1
                .contains("tenantry_daemons 1\n")
        })
        .await;
        register(&database, "a_customer").await;
        until("the figures are there", async || {
            let (status, answer) = get_with(address, "/metrics", token).await;
            assert_eq!(status, 200, "{answer}");
            assert!(
                !answer.contains("a_customer") && !answer.contains(token),
                "{answer}"
            );
            answer.contains("tenantry_daemons 1\n") && answer.contains("# HELP tenantry_tenants ")
        })
        .await;
    })
    .await;
    with_daemon(settings(&database.url, &[]), async |address| {
        assert_eq!(get_with(address, "/metrics", token).await.0, 404);
    })
    .await;
}
