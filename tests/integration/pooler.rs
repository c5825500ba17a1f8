//! Through pgbouncer in transaction mode: what is a transaction works, the rest says what to configure.

use std::time::Duration;

use tenantry::{
    config::Settings,
    fleet::Fleet,
    postgres::{Message, Outcome, SessionError, Shard, Watch},
};

use crate::support::{Small, pooler::Pooler, proxy::Proxy, server, small, until};

/// As it comes, and as people set it who met a driver that asks for more: what is asked for at the start is then
/// dropped in silence.
const KINDS: [&str; 2] = ["", "ignore_startup_parameters = extra_float_digits,options"];

/// What a command says that goes through the pooler.
fn through(pooler: &Pooler, small: &Small, arguments: &[&str]) -> String {
    through_with(pooler, small, arguments, &[])
}

/// The same, with further settings.
fn through_with(
    pooler: &Pooler,
    small: &Small,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> String {
    let url = pooler.url_for(&small.database.url);
    let mut command = small.tenantry(arguments);
    let output = command
        .env("TENANTRY__HOME__URL", url)
        .env("TENANTRY__APPLY__BUSY_WAIT", "10s")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    format!(
        "exit {}\n{}{}",
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_work() {
    for settings in KINDS {
        let small = small(2).await;
        let Some(pooler) = Pooler::start(&small.database.url, settings).await else {
            return;
        };
        let run = |arguments: &[&str]| {
            let screen = through(&pooler, &small, arguments);
            assert!(screen.starts_with("exit 0\n"), "{arguments:?}: {screen}");
            screen
        };
        run(&["up"]);
        // No statement has a name that another server would know, or have given to something else.
        for _ in 0..4 {
            run(&["blockers"]);
        }
        let tenants: Vec<_> = (0..12).map(|number| format!("tenant{number}")).collect();
        for tenant in &tenants {
            run(&["tenant", "add", tenant]);
        }
        small.write(
            "tenant/3-people.up.sql",
            "create table people (id bigint primary key, name text);\n\
             insert into people select n, null from generate_series(1, 60) n;\n",
        );
        small.write("tenant/3-people.down.sql", "drop table people;\n");
        run(&["up"]);
        small.make_directory("tenant/backfills");
        small.write(
            "tenant/backfills/names.sql",
            "-- tenantry: backfill table=people batch=10\n\
             update people set name = coalesce(name, '') || 'n' || id where {batch}\n",
        );
        run(&["backfill", "start", "names"]);
        for tenant in &tenants {
            let wrong = format!(
                "do $$ begin
                     assert (select count(*) = 60 and bool_and(name = 'n' || id) from {tenant}.people);
                 end $$"
            );
            small.run(&wrong).await;
        }
        let status = run(&["status"]);
        assert!(status.contains("12"), "{status}");
        run(&["down", "--all", "--yes", "--steps", "1"]);
        assert_eq!(small.tables("tenant7").await, ["t1", "t2"]);
        assert_eq!(small.log("tenant7").await.len(), 4);
        run(&["tenant", "retire", "tenant7", "--yes"]);
        assert_eq!(small.tables("tenant7").await, [""; 0]);
    }
}

#[tokio::test]
async fn what_needs_a_session_says_what_to_configure() {
    for settings in KINDS {
        let small = small(0).await;
        let direct = &small.database.url;
        let Some(pooler) = Pooler::start(direct, settings).await else {
            return;
        };
        let pooled = pooler.url_for(direct);
        let message = refused(&shard(&[("TENANTRY__HOME__URL", &pooled)])).await;
        assert!(message.contains("set `home.direct_url`"), "{message}");
        assert!(message.contains("(`home.url`)"), "{message}");

        let shards = [
            ("TENANTRY__HOME__URL", direct.as_str()),
            ("TENANTRY__SHARDS__EU1__URL", &pooled),
        ];
        let message = refused(&shard(&shards)).await;
        assert!(
            message.starts_with("eu1 is reached through a pooler at 127.0.0.1:"),
            "{message}"
        );
        assert!(message.contains("set `shards.eu1.direct_url`"), "{message}");

        // The way past it may not lead to it again.
        let again = [
            shards[0],
            shards[1],
            ("TENANTRY__SHARDS__EU1__DIRECT_URL", &pooled),
        ];
        let message = refused(&shard(&again)).await;
        assert!(message.contains("(`shards.eu1.direct_url`)"), "{message}");

        let past = [
            shards[0],
            shards[1],
            ("TENANTRY__SHARDS__EU1__DIRECT_URL", direct),
        ];
        let shard = shard(&past);
        let session = shard.connect_directly().await.unwrap();
        assert!(!session.is_pooled());
        session.close().await;
        let session = shard.connect().await.unwrap();
        assert!(session.is_pooled());
        session.close().await;
    }
}

#[tokio::test]
async fn the_doctor_knows_of_the_way_past_it() {
    for settings in KINDS {
        let small = small(1).await;
        small.add("acme").await;
        let direct = &small.database.url;
        let Some(pooler) = Pooler::start(direct, settings).await else {
            return;
        };
        let screen = through(&pooler, &small, &["doctor", "--all"]);
        let missing = "set `home.direct_url` to a URL that leads straight to the server";
        assert!(
            screen.contains("warning  pooler: a pooler is between"),
            "{screen}"
        );
        assert!(screen.contains(missing), "{screen}");

        let with_way_past = |way: &str| {
            let mut command = small.tenantry(&["doctor", "--all"]);
            command.env("TENANTRY__HOME__URL", pooler.url_for(direct));
            command.env("TENANTRY__HOME__DIRECT_URL", way);
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        let screen = with_way_past(direct);
        let well = "ok       pooler: a pooler, and a way past it (`direct_url`)";
        assert!(screen.contains(well), "{screen}");
        let screen = with_way_past("postgres://nobody@127.0.0.1:1/nothing");
        assert!(
            screen.contains("the way past it does not lead there"),
            "{screen}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_behind_it() {
    for settings in KINDS {
        let small = small(2).await;
        let Some(pooler) = Pooler::start(&small.database.url, settings).await else {
            return;
        };
        for tenant in 0..12 {
            small.add(&format!("tenant{tenant}")).await;
        }
        assert!(through(&pooler, &small, &["up"]).starts_with("exit 0\n"));
        let scratch = ["drift", "--server", server().await.url()];
        for _ in 0..3 {
            let well = through(&pooler, &small, &scratch);
            assert!(well.starts_with("exit 0\n"), "{well}");
            assert!(well.contains("12 as the history makes them"), "{well}");
        }
        small
            .run("create view tenant3.stray as select 1 as one; create table tenant7.stray ()")
            .await;
        for reference in [&scratch[..], &["drift", "--reference", "majority"]] {
            let found = through(&pooler, &small, reference);
            assert!(found.starts_with("exit 6\n"), "{found}");
            for told in ["2 of 12 not as", "view stray: added", "table stray: added"] {
                assert!(found.contains(told), "{told}: {found}");
            }
        }
        let mut other = small.connect().await;
        sqlx::raw_sql("begin; lock table tenant5.t1")
            .execute(&mut other)
            .await
            .unwrap();
        let found = through(&pooler, &small, &scratch);
        let told = "tenants not looked at: tenant5: it is locked";
        assert!(found.contains(told), "{found}");
        drop(other);
    }
}

/// The only shard of these settings.
fn shard(environment: &[(&'static str, &str)]) -> Shard {
    let environment = environment
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    let settings = Settings::load(None, environment).unwrap();
    let fleet = Fleet::without_files(&settings).unwrap();
    fleet.shards.iter().next().unwrap().clone()
}

/// What it says to somebody who needs a session.
async fn refused(shard: &Shard) -> String {
    let error = shard.connect_directly().await.unwrap_err();
    assert!(matches!(error, SessionError::Pooled { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_server_that_falls_silent_behind_it_is_not_waited_for_without_an_end() {
    let small = small(0).await;
    let Some(pooler) = Pooler::start(&small.database.url, "").await else {
        return;
    };
    let pooled = pooler.url_for(&small.database.url);
    let proxy = Proxy::start(&pooled).await;
    let shard = shard(&[("TENANTRY__HOME__URL", &proxy.url_for(&pooled))]);
    let mut session = shard.connect().await.unwrap();
    assert!(session.is_pooled());
    proxy.fall_silent();
    let watch = Watch {
        unseen: Duration::from_millis(50),
        ..Watch::default()
    };
    let message = Message::vouched("SELECT 1");
    let error = session.ask(&message, watch, &mut None).await;
    let error = error.unwrap_err();
    assert!(matches!(error, SessionError::Lost(_)), "{error}");
}

#[tokio::test]
async fn an_error_is_found_where_it_is() {
    let small = small(1).await;
    let Some(pooler) = Pooler::start(&small.database.url, "").await else {
        return;
    };
    small.import("acme").await;
    // All but how long it took.
    let error = |screen: String| screen[screen.find("\n\n").unwrap()..].to_owned();
    // By position, and by the number of statements that were completed.
    let wrongs = [
        ("select 1;\n\nselect nope;", "2-wrong.up.sql:3:8"),
        (
            "select 1;\nselect 1 / (count(*) - count(*)) from t1;",
            "2-wrong.up.sql:2:1",
        ),
    ];
    for (wrong, place) in wrongs {
        small.write("tenant/2-wrong.up.sql", wrong);
        small.write("tenant/2-wrong.down.sql", "select 1;");
        let screen = error(through(&pooler, &small, &["up"]));
        assert_eq!(screen, error(small.text(&["up"])));
        assert!(screen.contains(place), "{screen}");
    }
}

/// How many sessions on the server are asleep in a migration.
async fn asleep(small: &Small) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
    )
    .fetch_one(&mut small.connect().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_killed_clients_statement_ends_behind_it_too() {
    let small = small(0).await;
    let Some(pooler) = Pooler::start(&small.database.url, "").await else {
        return;
    };
    small.import("acme").await;
    small.write(
        "tenant/1-slow.up.sql",
        "create table slow (); select pg_sleep(600);",
    );
    small.write("tenant/1-slow.down.sql", "drop table slow;");
    let url = pooler.url_for(&small.database.url);
    let mut up = small.spawn(&["up"], &url);
    until("it is asleep", async || asleep(&small).await == 1).await;
    up.kill().unwrap();
    up.wait().unwrap();
    until("nobody is asleep", async || asleep(&small).await == 0).await;
    assert_eq!(small.tables("acme").await, [""; 0]);
    small.write("tenant/1-slow.up.sql", "create table slow ();");
    let screen = through(&pooler, &small, &["up"]);
    assert!(screen.starts_with("exit 0"), "{screen}");
    assert_eq!(small.tables("acme").await, ["slow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_lock_is_named_by_the_way_past_it() {
    for settings in KINDS {
        let small = small(1).await;
        let direct = small.database.url.clone();
        let Some(pooler) = Pooler::start(&direct, settings).await else {
            return;
        };
        small.add("acme").await;
        small.write("tenant/2-more.up.sql", "alter table t1 add more text;");
        small.write("tenant/2-more.down.sql", "alter table t1 drop more;");
        let mut other = small.connect().await;
        sqlx::raw_sql("begin; lock table acme.t1")
            .execute(&mut other)
            .await
            .unwrap();
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut other)
            .await
            .unwrap();
        let once = [
            ("TENANTRY__APPLY__LOCK_TRIES", "1"),
            ("TENANTRY__APPLY__LOCK_TIMEOUT", "2s"),
        ];
        let blind = through_with(&pooler, &small, &["up"], &once);
        assert!(blind.starts_with("exit 1\n"), "{blind}");
        assert!(blind.contains("error[55P03]"), "{blind}");
        assert!(!blind.contains("blocked by"), "{blind}");
        let way = "behind a pooler it is not seen who holds the lock: `direct_url` leads past it";
        assert!(blind.contains(way), "{blind}");

        let past = [once[0], once[1], ("TENANTRY__HOME__DIRECT_URL", &direct)];
        let seen = through_with(&pooler, &small, &["up"], &past);
        assert!(seen.starts_with("exit 1\n"), "{seen}");
        assert!(seen.contains(&format!("blocked by pid {pid} ")), "{seen}");
        assert!(!seen.contains(way), "{seen}");
        drop(other);
    }
}

/// What becomes, behind the pooler, of a message that sleeps when everything is to be cancelled: the error, and whether the
/// server was still at it when that was known.
async fn cut(pooler: &Pooler, small: &Small, direct: Option<&str>) -> (SessionError, bool) {
    let url = pooler.url_for(&small.database.url);
    let mut environment = vec![("TENANTRY__HOME__URL", url)];
    environment.extend(direct.map(|direct| ("TENANTRY__HOME__DIRECT_URL", direct.to_owned())));
    let fleet = Fleet::without_files(&Settings::load(None, environment).unwrap()).unwrap();
    let mut session = fleet.shards.iter().next().unwrap().connect().await.unwrap();
    assert!(session.is_pooled());
    let message = Message::vouched("BEGIN; SELECT pg_catalog.pg_sleep(600); COMMIT");
    let cut = async {
        until("it is asleep", async || asleep(small).await == 1).await;
        fleet.shards.cut().cancel();
    };
    let sent = async {
        let error = session.ask(&message, Watch::default(), &mut None).await;
        (error.unwrap_err(), asleep(small).await == 1)
    };
    tokio::join!(sent, cut).0
}

#[tokio::test]
async fn what_runs_behind_it_is_cancelled_by_the_way_past_it() {
    for settings in KINDS {
        let small = small(0).await;
        let direct = small.database.url.clone();
        let Some(pooler) = Pooler::start(&direct, settings).await else {
            return;
        };
        let (error, runs) = cut(&pooler, &small, Some(&direct)).await;
        assert!(matches!(error, SessionError::Cancelled(_)), "{error}");
        let error = error.into_error();
        assert_eq!(
            error.detail.as_deref(),
            Some("it was cancelled on the server")
        );
        assert!(!error.leaves_running && !runs);

        // Without one, nobody claims that it was: the pooler ends it, once it has noticed.
        let (error, runs) = cut(&pooler, &small, None).await;
        let error = error.into_error();
        let said = "it could not be cancelled on the server: a pooler is in between, and no `direct_url` leads past it";
        assert_eq!(error.detail.as_deref(), Some(said));
        assert!(error.leaves_running && runs);
        until("nobody is asleep", async || asleep(&small).await == 0).await;
    }
}

#[tokio::test]
async fn a_way_past_it_that_is_away_ends_nothing() {
    let small = small(0).await;
    let Some(pooler) = Pooler::start(&small.database.url, "").await else {
        return;
    };
    let pooled = pooler.url_for(&small.database.url);
    let shard = shard(&[
        ("TENANTRY__HOME__URL", &pooled),
        (
            "TENANTRY__HOME__DIRECT_URL",
            "postgres://nobody@127.0.0.1:1/nothing",
        ),
    ]);
    let mut session = shard.connect().await.unwrap();
    let watch = Watch {
        look: Duration::from_millis(10),
        silence: Duration::from_millis(50),
        ..Watch::default()
    };
    let message = Message::vouched("SELECT pg_catalog.pg_sleep(0.5)");
    let outcome = session.ask(&message, watch, &mut None).await;
    assert!(matches!(outcome, Ok(Outcome::Done)), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_transaction_is_not_begun_without_a_way_past_it() {
    let small = small(1).await;
    let Some(pooler) = Pooler::start(&small.database.url, "").await else {
        return;
    };
    for tenant in ["acme", "bolt"] {
        small.add(tenant).await;
    }
    let up = "-- tenantry: no-transaction\ncreate index concurrently i on t1 ((1));";
    small.write("tenant/2-index.up.sql", up);
    small.write("tenant/2-index.down.sql", "drop index i;");
    let screen = through(&pooler, &small, &["up", "--concurrency", "1"]);
    assert!(screen.starts_with("exit 1\n"), "{screen}");
    for said in [
        "set `home.direct_url` to a URL",
        "1 tenant was not begun: it would fail everywhere alike",
        "what failed was not begun; to try again",
    ] {
        assert!(screen.contains(said), "{said}: {screen}");
    }
    for wrong in ["cleared up", "the script fails", "rolled back"] {
        assert!(!screen.contains(wrong), "{wrong}: {screen}");
    }

    let screen = through(&pooler, &small, &["tenant", "add", "coral"]);
    assert!(screen.starts_with("exit 1\n"), "{screen}");
    for said in [
        "set `home.direct_url` to a URL",
        "tenant coral stays in state provisioning",
        "`tenantry tenant add coral --shard main` goes on with it",
        "`tenantry tenant retire coral` takes it away",
    ] {
        assert!(screen.contains(said), "{said}: {screen}");
    }
    assert!(!screen.contains("cleared up"), "{screen}");
    // Both are so.
    let small = small.reopened();
    assert!(
        small
            .text(&["tenant", "add", "coral", "--shard", "main"])
            .starts_with("exit code 0")
    );
    through(&pooler, &small, &["tenant", "add", "dune"]);
    let retired = through(&pooler, &small, &["tenant", "retire", "dune", "--yes"]);
    assert!(retired.starts_with("exit 0"), "{retired}");
}
