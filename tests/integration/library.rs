//! The fleet in an application's own program, by the examples that the documentation shows.

use std::{fs, future::Future};

use tenantry::{
    Fleet, Settings,
    migration::{MigrationSet, Scope, read_embedded},
    provision::ProvisionError,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{Several, database, tenantry, write_or_compare};

#[path = "../../examples/signup.rs"]
#[expect(dead_code, reason = "its main is for whoever runs it")]
mod signup;

#[path = "../../examples/start.rs"]
#[expect(dead_code, reason = "its main is for whoever runs it")]
mod start;

/// The page, and how code of an example begins and ends in it.
const PAGE: &str = "docs/library.md";
const END: &str = "```\n";

#[test]
fn the_page_shows_the_examples() {
    let page = fs::read_to_string(PAGE).unwrap();
    let mut made = page.clone();
    for example in ["examples/start.rs", "examples/signup.rs"] {
        let begin = format!("```rust\n// {example}\n");
        let (before, rest) = made.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let code = fs::read_to_string(example).unwrap();
        let code: Vec<_> = code.lines().filter(|l| !l.starts_with("//!")).collect();
        let code = code.join("\n");
        made = format!("{before}{begin}{}\n{END}{after}", code.trim());
    }
    write_or_compare(PAGE, &page, &made, page == made);
}

#[tokio::test]
async fn an_application_moves_its_fleet_and_signs_tenants_up() {
    let database = database().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = database.url.clone();
    // A task of its own, as in any application.
    let mut serving = tokio::spawn(async move { signup::serve(&url, listener).await });
    let answered = unless_ended(&mut serving, post(address, "/companies/acme")).await;
    assert!(answered.starts_with("HTTP/1.1 201 "), "{answered}");
    assert!(answered.ends_with("welcome, acme"), "{answered}");
    for (path, code) in [("/companies/acme", 409), ("/companies/pg_x", 400)] {
        let answered = unless_ended(&mut serving, post(address, path)).await;
        assert!(
            answered.starts_with(&format!("HTTP/1.1 {code} ")),
            "{answered}"
        );
    }
    serving.abort();

    // The command sees the same fleet, with the same files: nothing is left to do.
    let mut status = tenantry();
    status.args(["status", "--check"]);
    status.env("TENANTRY__HOME__URL", &database.url);
    let status = status.output().unwrap();
    let shown = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(0), "{shown}");
    assert!(shown.contains("tenant  "), "{shown}");
}

#[tokio::test]
async fn an_application_needs_a_dozen_lines() {
    let database = database().await;
    // The directories of the sample sets are those that the settings name by default.
    let settings = Settings::at(&database.url).unwrap();
    let fleet = start::start(&settings).await.unwrap();
    assert_eq!(fleet.add("acme").await.unwrap().name.as_str(), "acme");
    assert!(start::start(&settings).await.is_ok());
}

/// What an endpoint answers, unless the server ends before.
async fn unless_ended<T: std::fmt::Debug>(
    serving: &mut tokio::task::JoinHandle<T>,
    answer: impl Future<Output = String>,
) -> String {
    tokio::select! {
        ended = serving => panic!("{ended:?}"),
        answered = answer => answered,
    }
}

async fn post(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn users(more: &[(&'static str, &'static str)]) -> MigrationSet {
    let first = [
        ("1-users.up.sql", "create table users (email text);"),
        ("1-users.down.sql", "drop table users;"),
    ];
    read_embedded(Scope::Tenant, first.iter().chain(more).copied()).unwrap()
}

fn fleet(url: &str, tenant: MigrationSet) -> Fleet {
    let shared = MigrationSet::empty(Scope::Shared);
    Fleet::with_sets(&Settings::at(url).unwrap(), shared, tenant).unwrap()
}

#[tokio::test]
async fn with_several_shards_a_tenant_is_put_on_the_least_full() {
    let several = Several::with(&[("eu1", 2), ("us1", 0)]).await;
    let fleet = several.fleet();
    let tenant = fleet.add("acme").await.unwrap();
    assert_eq!(tenant.shard.as_str(), "us1");
    let standings = several.standings().await;
    assert_eq!(standings["us1/acme"].as_deref(), Some("1"), "{standings:?}");
    assert!(fleet.add("acme").await.is_err());
}

#[tokio::test]
async fn what_fails_is_told_with_its_reason() {
    let database = database().await;
    let first = fleet(&database.url, users(&[]));
    first.up().await.unwrap().complete().unwrap();
    for name in ["acme", "blue"] {
        first.add(name).await.unwrap();
    }
    let again = first.add("acme").await.unwrap_err();
    assert!(matches!(
        again,
        tenantry::AddError::Provision(ProvisionError::Taken(_))
    ));

    let wrong = users(&[
        ("2-oops.up.sql", "create table oops (id nothing);"),
        ("2-oops.down.sql", "drop table oops;"),
    ]);
    let second = fleet(&database.url, wrong);
    let incomplete = second.up().await.unwrap().complete().unwrap_err();
    let said = incomplete.to_string();
    assert!(said.contains(" failed, 0 left out"), "{said}");
    assert!(said.contains("type \"nothing\" does not exist"), "{said}");
    assert_eq!(incomplete.0.scopes.len(), 2);
}

/// Instances of an application that start together.
#[tokio::test]
async fn several_instances_share_the_work() {
    let database = database().await;
    let old = fleet(&database.url, users(&[]));
    old.up().await.unwrap().complete().unwrap();
    for number in 0..8 {
        old.add(&format!("tenant_{number}")).await.unwrap();
    }
    let new = users(&[
        ("2-names.up.sql", "alter table users add name text;"),
        ("2-names.down.sql", "alter table users drop name;"),
    ]);
    let new = fleet(&database.url, new);
    let instances = (0..3).map(|_| {
        let fleet = new.clone();
        tokio::spawn(async move { fleet.up().await })
    });
    let mut migrations = 0;
    for instance in instances.collect::<Vec<_>>() {
        let report = instance.await.unwrap().unwrap().complete().unwrap();
        migrations += report.scopes.iter().map(|s| s.migrations()).sum::<usize>();
    }
    assert_eq!(migrations, 8);
}
