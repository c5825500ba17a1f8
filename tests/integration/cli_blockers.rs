//! `blockers` as it is typed, while sessions of an application stand in each other's way.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::task::JoinHandle;

use crate::support::{Database, Ran, Shop, until};

/// A session of the application that calls itself so.
async fn session(database: &Database, name: &str) -> PgConnection {
    let options: PgConnectOptions = database.url.parse().unwrap();
    let options = options.application_name(name);
    PgConnection::connect_with(&options).await.unwrap()
}

/// One session with a lock on all of a table, which does nothing, and two that wait, one behind the other.
struct Queue {
    front: PgConnection,
    waiting: Vec<JoinHandle<()>>,
}

impl Queue {
    async fn form(shop: &Shop) -> Self {
        let mut front = session(&shop.database, "report").await;
        let read = "begin; select email from acme.users";
        sqlx::raw_sql(read).execute(&mut front).await.unwrap();
        let mut waiting = Vec::new();
        for (place, name, sql) in [
            (1, "upgrade", "alter table acme.users add column more int"),
            (2, "shop", "select email\n  from acme.users"),
        ] {
            let mut next = session(&shop.database, name).await;
            waiting.push(tokio::spawn(async move {
                // It ends in one way or another.
                let _ = sqlx::raw_sql(sql).execute(&mut next).await;
            }));
            let mut looking = shop.database.connect().await;
            until("it waits", async || {
                let waits = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
                              where not l.granted and l.waitstart is not null and a.datname = current_database()";
                let count: i64 = sqlx::query_scalar(waits).fetch_one(&mut looking).await.unwrap();
                count == place
            })
            .await;
        }
        Self { front, waiting }
    }

    async fn pid(&mut self) -> i32 {
        // Within its transaction, so that this is its last query from here on.
        let pid = "select pg_backend_pid()";
        sqlx::query_scalar(pid)
            .fetch_one(&mut self.front)
            .await
            .unwrap()
    }

    /// All of them come to an end.
    async fn end(self) {
        drop(self.front);
        for waiting in self.waiting {
            waiting.await.unwrap();
        }
    }
}

/// Leaves out what differs from run to run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#""(pid|transaction_ms|waited_ms)": \d+"#, r#""$1": 7"#);
    settings.add_filter(r#""(user|client)": "[^"]+""#, r#""$1": "[$1]""#);
    settings
}

#[tokio::test]
async fn who_waits_behind_whom() {
    let shop = Shop::with(&["acme", "blue"]).await;
    let nobody = shop.run(&["blockers"]);
    assert_eq!(
        (nobody.code, &*nobody.stdout),
        (0, "shard main: nobody waits\n")
    );
    let mut queue = Queue::form(&shop).await;
    let pid = queue.pid().await;
    let ran = shop.run(&["blockers", "--output", "json"]);
    assert_eq!(ran.json()["shards"][0]["roots"][0]["pid"], json!(pid));
    settings().bind(|| insta::assert_snapshot!("blockers_json", ran.screen()));

    let ran = shop.run(&["blockers"]);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "shard main: 2 sessions wait");
    assert!(lines[3].starts_with(&pid.to_string()), "{}", ran.screen());
    assert!(lines[3].contains("idle in transaction"), "{}", ran.screen());
    assert!(
        lines[4].starts_with("  ") && lines[4].contains("upgrade"),
        "{}",
        ran.screen()
    );
    assert!(
        lines[5].starts_with("    ") && lines[5].contains("acme.users"),
        "{}",
        ran.screen()
    );
    assert!(
        lines[5].ends_with("select email from acme.users"),
        "{}",
        ran.screen()
    );
    let end = format!("`tenantry blockers --terminate {pid}`");
    assert!(ran.stderr.contains(&end), "{}", ran.screen());

    let of = |selector: &str| {
        let ran = shop.run(&["blockers", selector, "--output", "json"]);
        ran.json()["shards"][0]["waits"].as_array().unwrap().len()
    };
    assert_eq!((of("acme"), of("blue"), of("version<2")), (2, 0, 2));
    queue.end().await;
}

#[tokio::test]
async fn a_session_is_ended_when_a_person_says_so() {
    let shop = Shop::with(&["acme"]).await;
    let mut queue = Queue::form(&shop).await;
    let pid = queue.pid().await.to_string();
    let asked = shop.run(&["blockers", "--terminate", &pid]);
    assert_eq!(asked.code, 2, "{}", asked.screen());
    assert!(
        asked.stderr.contains("This ends, and rolls back"),
        "{}",
        asked.screen()
    );
    assert!(asked.stderr.contains("(user ") && asked.stderr.contains("--yes"));
    let ended = shop.run(&["blockers", "--terminate", &pid, "--yes", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.screen());
    settings().bind(|| insta::assert_snapshot!("terminate_json", ended.screen()));
    let error = sqlx::raw_sql("select 1").execute(&mut queue.front).await;
    assert!(error.is_err(), "{error:?}");
    // The way is free.
    for waiting in queue.waiting.drain(..) {
        waiting.await.unwrap();
    }
    let columns = "select exists (select from pg_attribute where attname = 'more' and attrelid = 'acme.users'::regclass)";
    shop.wait_for(columns).await;
    let again = shop.run(&["blockers", "--terminate", &pid, "--yes"]);
    assert_eq!(again.code, 1, "{}", again.screen());
    assert!(
        again
            .stdout
            .contains("is no session in the database of shard main")
    );
}

#[tokio::test]
async fn a_shard_that_cannot_be_reached_hides_nothing_of_the_others() {
    let shop = Shop::with(&["acme"]).await;
    let queue = Queue::form(&shop).await;
    let with_shards = |arguments: &[&str]| {
        let mut command = shop.command(arguments);
        command
            .env("TENANTRY__SHARDS__MAIN__URL", &shop.database.url)
            .env(
                "TENANTRY__SHARDS__AWAY__URL",
                "postgres://nobody@127.0.0.1:1/nothing",
            );
        Ran::of(command)
    };
    let ran = with_shards(&["blockers", "acme"]);
    assert_eq!(ran.code, 1, "{}", ran.screen());
    assert!(
        ran.stdout.starts_with("shard main: 2 sessions wait\n"),
        "{}",
        ran.screen()
    );
    assert!(
        ran.stderr.contains("shard away cannot be asked: "),
        "{}",
        ran.screen()
    );
    assert!(ran.stderr.contains(" --shard main`"), "{}", ran.screen());
    let json = with_shards(&["blockers", "--output", "json"]).json();
    assert!(json["shards"][0]["error"].is_string() && json["shards"][1]["error"] == Value::Null);
    let one = with_shards(&["blockers", "--shard", "main"]);
    assert_eq!(one.code, 0, "{}", one.screen());
    assert_eq!(with_shards(&["blockers", "--shard", "away"]).code, 69);
    let which = with_shards(&["blockers", "--terminate", "1"]);
    assert_eq!(which.code, 2);
    assert!(which.stderr.contains("--shard"), "{}", which.screen());
    queue.end().await;
}

#[tokio::test]
async fn the_report_of_a_run_names_who_was_in_the_way() {
    let shop = Shop::with(&["acme", "blue"]).await;
    shop.migration(
        2,
        "names",
        "ALTER TABLE users ADD name text;\n",
        "ALTER TABLE users DROP name;\n",
    );
    let mut report = session(&shop.database, "report").await;
    let read = "begin; select email from acme.users";
    sqlx::raw_sql(read).execute(&mut report).await.unwrap();
    let up = |arguments: &[&str]| {
        let mut command = shop.command(&[&["up"], arguments].concat());
        command
            .env("TENANTRY__APPLY__LOCK_TRIES", "1")
            .env("TENANTRY__APPLY__LOCK_TIMEOUT", "1s");
        Ran::of(command)
    };
    let ran = up(&["--output", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.screen());
    settings().bind(|| {
        let failures = &ran.json()["scopes"][1]["failures"];
        insta::assert_json_snapshot!("up_blocked_json", failures);
    });
    let ran = up(&[]);
    let said = |words: &str| assert!(ran.stderr.contains(words), "{words}: {}", ran.screen());
    said("note: blocked by pid ");
    said(", report, ");
    said(", idle in transaction, its transaction open for ");
    said(" in the way of acme.users: begin; select email from acme.users");
    said("note: who is in the way now, and of whom: `tenantry blockers`");
}

#[tokio::test]
async fn what_the_server_hides_is_said() {
    let shop = Shop::with(&["acme"]).await;
    let role = format!("stranger_{}", std::process::id());
    shop.sql(&format!(
        "create role {role} login password 'secret'; grant usage on schema acme to {role}"
    ))
    .await;
    let mut queue = Queue::form(&shop).await;
    let options: PgConnectOptions = shop.database.url.parse().unwrap();
    let stranger = options.username(&role).password("secret");
    let url: String = sqlx::ConnectOptions::to_url_lossy(&stranger).into();
    let mut command = shop.command(&["blockers"]);
    command.env("TENANTRY__HOME__URL", &url);
    let ran = Ran::of(command);
    assert_eq!(ran.code, 0, "{}", ran.screen());
    assert!(
        ran.stdout.starts_with("shard main: 2 sessions wait\n"),
        "{}",
        ran.screen()
    );
    assert!(ran.stderr.contains("pg_read_all_stats"), "{}", ran.screen());
    assert!(!ran.stdout.contains("insufficient privilege"));
    let pid = queue.pid().await.to_string();
    let mut command = shop.command(&["blockers", "--terminate", &pid, "--yes", "--output", "json"]);
    command.env("TENANTRY__HOME__URL", &url);
    let refused = Ran::of(command);
    assert_eq!(refused.code, 1, "{}", refused.screen());
    let session = &refused.json()["sessions"][0];
    assert_eq!(
        (&session["outcome"], &session["error"]["code"]),
        (&json!("refused"), &json!("42501"))
    );
    queue.end().await;
    shop.sql(&format!("drop owned by {role}; drop role {role}"))
        .await;
}
