//! `backfill` and `serve` as they are typed.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tenantry::{
    config::{Portion, Settings},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    provision,
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
    travel::{Request, travel},
};
use tokio_util::sync::CancellationToken;

use crate::support::{self, Database, database, until};

fn environment(database: &Database) -> Vec<(&'static str, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let list = |name: &str| root.join(name).display().to_string();
    vec![
        ("TENANTRY__HOME__URL", database.url.clone()),
        ("TENANTRY__MIGRATIONS__SHARED", list("migrations")),
        ("TENANTRY__MIGRATIONS__TENANT", list("tenant_migrations")),
        ("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0".to_owned()),
    ]
}

fn tenantry(database: &Database, arguments: &[&str]) -> Output {
    support::tenantry()
        .args(arguments)
        .envs(environment(database))
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The sample fleet with one tenant, whose users have whole names only.
async fn shop(database: &Database) {
    let settings = Settings::load(None, environment(database)).unwrap();
    let fleet = Fleet::open(&settings).unwrap();
    let go = async |goal| {
        let request = Request {
            goal,
            scopes: &[Scope::Shared, Scope::Tenant],
            select: &|_| true,
            max_failures: Portion::Count(0),
        };
        let report = travel(&fleet, &request, &CancellationToken::new(), &()).await;
        assert!(report.unwrap().is_complete());
    };
    go(Goal::Latest).await;
    let (name, shard) = (TenantName::new("acme").unwrap(), ShardName::new("main"));
    provision::add(&fleet, &name, &shard, &Labels::new())
        .await
        .unwrap();
    let request = Request {
        goal: Goal::DownTo("20260218090000".parse().unwrap()),
        scopes: &[Scope::Tenant],
        select: &|_| true,
        max_failures: Portion::Count(0),
    };
    let report = travel(&fleet, &request, &CancellationToken::new(), &()).await;
    assert!(report.unwrap().is_complete());
    let users = "insert into acme.users (email, full_name)
                 select n || '@example.com', 'Ada ' || n from generate_series(1, 1200) n";
    sqlx::raw_sql(users)
        .execute(&mut database.connect().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_backfill_of_the_samples() {
    let database = database().await;
    shop(&database).await;
    let start = tenantry(
        &database,
        &["backfill", "start", "split-user-names", "--output", "json"],
    );
    let report = json(&start);
    assert_eq!(start.status.code(), Some(0), "{start:?}");
    assert_eq!(
        (&report["rows"], &report["batches"]),
        (&1200.into(), &3.into())
    );
    let mut shown = report.clone();
    shown["elapsed_ms"] = "[ms]".into();
    insta::assert_json_snapshot!("backfill_start", shown);
    let split: i64 = sqlx::query_scalar(
        "select count(*) from acme.users where given_name = 'Ada' and family_name = substr(full_name, 5)",
    )
    .fetch_one(&mut database.connect().await)
    .await
    .unwrap();
    assert_eq!(split, 1200);

    let again = tenantry(
        &database,
        &["backfill", "start", "split-user-names", "acme"],
    );
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(
        said,
        "split-user-names: 1 tenant done; no rows were left to do\n"
    );
    let list = json(&tenantry(
        &database,
        &["backfill", "list", "--output", "json"],
    ));
    insta::assert_json_snapshot!("backfill_list", list);
    let listed = &list["backfills"][0];
    assert_eq!(
        (&listed["name"], &listed["done"], &listed["rows_done"]),
        (&"split-user-names".into(), &1.into(), &1200.into())
    );
    sqlx::raw_sql("drop table acme.users cascade")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let failed = tenantry(
        &database,
        &["backfill", "start", "split-user-names", "--restart"],
    );
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(
        said.contains("there is no table users in the schema acme"),
        "{said}"
    );
    let unknown = tenantry(&database, &["backfill", "start", "../users"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(unknown.stderr).unwrap(),
        "error: there is no backfill ../users; there are: split-user-names\n"
    );
}

#[tokio::test]
async fn the_daemon_ends_at_sigterm() {
    let database = database().await;
    let mut daemon = support::tenantry()
        .arg("serve")
        .envs(environment(&database))
        .env("TENANTRY__LOG__FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let lines = std::thread::spawn(|| lines.map(Result::unwrap).collect::<Vec<_>>());
    until("the shared schema is there", async || {
        let heads = "select to_regclass('shared.companies') is not null";
        let mut connection = database.connect().await;
        sqlx::query_scalar(heads)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    })
    .await;
    let kill = Command::new("kill").arg(daemon.id().to_string()).status();
    assert!(kill.unwrap().success());
    let ended = tokio::task::spawn_blocking(move || daemon.wait()).await;
    let lines = lines.join().unwrap();
    assert_eq!(ended.unwrap().unwrap().code(), Some(0), "{lines:#?}");
    let said = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(
        (said("listening on http://127.0.0.1:"), said("\"ended\"")),
        (1, 1),
        "{lines:#?}"
    );
    // Nothing stands between the objects.
    for line in &lines {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{lines:#?}");
    }
    let secret = database.url.split('@').next().unwrap();
    assert_eq!(said(secret), 0);
}

#[tokio::test]
async fn the_daemon_refuses_to_be_open() {
    let refused = support::tenantry()
        .arg("serve")
        .env("TENANTRY__HOME__URL", "postgres://")
        .env("TENANTRY__DAEMON__LISTEN", "[::]:0")
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
}
