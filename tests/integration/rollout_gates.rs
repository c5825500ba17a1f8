//! What a rollout waits for besides its runs: windows, the health gate, hooks, contracts.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use tenantry::{
    store::{
        rollouts,
        runs::{self, Of},
    },
    tenant::ShardName,
};

use crate::support::{
    Small,
    rollouts::{
        ALL_AT_ONCE, Daemon, MINUTE, daemon, fleet, json, moved, number, until_number, waves,
    },
    until_within,
};

/// A window that is open on one day of the week: the one that comes after so many days.
fn window(days: i64) -> String {
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date() + days.days();
    format!("{} 00:00-24:00", day.strftime("%a"))
}

#[tokio::test]
async fn nothing_is_begun_outside_of_a_window_unless_somebody_says_so() {
    let small = fleet(5).await;
    let _daemon = daemon(&small, &[]);
    let start = |more: &[&str]| {
        let arguments = [&["rollout", "start", "--canaries", "0"], more].concat();
        let mut command =
            small.tenantry(&[&arguments[..], &["--output", "json", "--quiet"]].concat());
        command.env("TENANTRY__ROLLOUT__WINDOWS", window(3));
        command.env("TENANTRY__ROLLOUT__TIME_ZONE", "Europe/Berlin");
        command.assert().success();
    };
    start(&[]);
    let mut connection = small.connect().await;
    let waits = "select count(*) from tenantry.rollouts where why like 'waits for the window that opens %(Europe/Berlin)'";
    until_within(MINUTE, "it waits", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
    let (_, shown) = json(&small, &["rollout", "show"]);
    assert_eq!(shown["state"], "running", "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::new());
    assert_eq!(json(&small, &["rollout", "cancel"]).0, 0);
    let cancelled = "select count(*) from tenantry.rollouts where state = 'cancelled'";
    until_within(MINUTE, "it is cancelled", async || {
        number(&mut connection, cancelled).await == 1
    })
    .await;

    start(&["--ignore-windows"]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
    let first = &shown["events"][0]["action"];
    assert_eq!(first, "start, ignoring the windows", "{shown}");
}

#[tokio::test]
async fn within_a_window_it_goes_on_and_nothing_is_claimed_once_it_is_closed() {
    let small = fleet(5).await;
    {
        let _daemon = daemon(&small, &[]);
        let mut command = small.tenantry(&["rollout", "start", "--wait"]);
        // Today, and so that it does not end while the test runs: tomorrow, too.
        let windows = format!("{},{}", window(0), window(1));
        command.env("TENANTRY__ROLLOUT__WINDOWS", windows);
        command.assert().success();
    }
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
    let mut connection = small.connect().await;
    let open =
        "select count(*) from tenantry.rollouts where open_until > now() + interval '23 hours'";
    assert_eq!(number(&mut connection, open).await, 1);

    // As a wave is that is under way, by the daemon that does so.
    small
        .run(
            "with d as (insert into tenantry.daemons (name, expires_at) values ('d', now() + interval '1 h') returning id)
             update tenantry.rollouts set state = 'running', ended_at = null, daemon = (select id from d);
             update tenantry.waves set state = 'running' where number = 0;
             update tenantry.runs set state = 'pending', ended_at = null, not_before = '-infinity' where wave = 0",
        )
        .await;
    let daemon = number(
        &mut connection,
        "select id from tenantry.daemons where name = 'd'",
    )
    .await;
    let of = Of {
        rollout: 1,
        wave: 0,
    };
    let main = ShardName::new("main");
    let close = "update tenantry.rollouts set open_until = now() - interval '1 ms'";
    small.run(close).await;
    let mut connection = connection.into();
    let claimed = runs::claim(&mut connection, of, &main, daemon, 1).await;
    assert_eq!(claimed.unwrap(), []);
    let open = "update tenantry.rollouts set open_until = now() + interval '1 h'";
    small.run(open).await;
    let claimed = runs::claim(&mut connection, of, &main, daemon, 1).await;
    assert_eq!(claimed.unwrap().len(), 1);
}

/// An HTTP server that answers all with one status, and keeps what it was sent.
struct Web {
    url: String,
    status: Arc<AtomicU16>,
    sent: Arc<Mutex<Vec<String>>>,
}

fn web(status: u16) -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = Web {
        url: format!("http://me:s3cret@{}/s3cret", listener.local_addr().unwrap()),
        status: Arc::new(AtomicU16::new(status)),
        sent: Arc::default(),
    };
    let (status, sent) = (web.status.clone(), web.sent.clone());
    // A thread of its own, which ends with the process: tests wait for commands without giving way.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut said = String::new();
            let mut some = [0; 4096];
            // Until the head has come, and as much more as it says.
            while !is_whole(&said) {
                let length = stream.read(&mut some).unwrap_or_default();
                if length == 0 {
                    break;
                }
                said.push_str(&String::from_utf8_lossy(&some[..length]));
            }
            sent.lock().unwrap().push(said);
            let status = status.load(Ordering::Relaxed);
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
    });
    web
}

fn is_whole(said: &str) -> bool {
    let Some((head, body)) = said.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

const NO_PROXY: (&str, &str) = ("NO_PROXY", "127.0.0.1");

#[tokio::test]
async fn the_next_wave_waits_until_a_query_gives_true() {
    let small = fleet(5).await;
    small
        .run("create table public.sick (); insert into public.sick default values")
        .await;
    let gate = (
        "TENANTRY__GATE__SQL",
        "select not exists (select from public.sick)",
    );
    let _daemon = daemon(&small, &[gate]);
    let start = ["rollout", "start", "--canaries", "1", "--waves", "100%"];
    assert_eq!(json(&small, &start).0, 0);
    let shut = "select count(*) from tenantry.rollouts
                 where why = 'wave 0 is done, and the gate is shut: shard main: the query gives false'";
    until_number(&small, "it waits", shut, 1).await;
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 1)]));
    // It is looked at again, and what cannot be answered is not well either.
    small.run("drop table public.sick").await;
    let fails = "select count(*) from tenantry.rollouts
                  where why like '%the gate is shut: shard main: the query failed: relation % does not exist'";
    until_number(&small, "it waits", fails, 1).await;
    small.run("create table public.sick ()").await;
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
}

#[tokio::test]
async fn a_gate_cannot_write_and_has_to_give_one_boolean() {
    let small = fleet(2).await;
    small
        .run(
            "create table public.audit ();
             create function public.note() returns boolean language sql as
             'insert into public.audit default values; select true'",
        )
        .await;
    for (query, told) in [
        (
            "select public.note()",
            "cannot execute INSERT in a read-only transaction",
        ),
        (
            "select true; drop table public.audit",
            "cannot insert multiple commands into a prepared statement",
        ),
        ("select null::boolean", "gives null"),
        ("select 1", "gives no boolean"),
        ("select true from generate_series(1, 2)", "gives 2 rows"),
    ] {
        let gate = [
            ("TENANTRY__GATE__SQL", query),
            ("TENANTRY__GATE__PATIENCE", "0s"),
        ];
        let _daemon = daemon(&small, &gate);
        let start = [
            "rollout",
            "start",
            "--canaries",
            "1",
            "--waves",
            "100%",
            "--wait",
        ];
        let (code, shown) = json(&small, &start);
        assert_eq!(code, 7, "{shown}");
        assert_eq!(shown["state"], "halted", "{shown}");
        assert!(shown["why"].as_str().unwrap().contains(told), "{shown}");
        assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
        assert_eq!(json(&small, &["rollout", "watch"]).1["state"], "complete");
    }
    let written = "select count(*) from public.audit";
    assert_eq!(number(&mut small.connect().await, written).await, 0);
}

#[tokio::test]
async fn a_gate_that_stays_shut_halts_it_and_a_retry_looks_again() {
    let small = fleet(5).await;
    let web = web(503);
    let gate = [
        NO_PROXY,
        ("TENANTRY__GATE__HTTP", web.url.as_str()),
        ("TENANTRY__GATE__PATIENCE", "100ms"),
    ];
    let _daemon = daemon(&small, &gate);
    let start = [
        "rollout",
        "start",
        "--canaries",
        "1",
        "--waves",
        "100%",
        "--wait",
    ];
    let (code, shown) = json(&small, &start);
    assert_eq!((code, &shown["state"]), (7, &"halted".into()), "{shown}");
    let why = shown["why"].as_str().unwrap();
    let shut = "the gate behind wave 0 was shut for 100ms: http://127.0.0.1:";
    assert!(why.starts_with(shut), "{why}");
    assert!(why.ends_with("answered 503 Service Unavailable"), "{why}");
    assert!(!shown.to_string().contains("s3cret"), "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 1)]));
    web.status.store(204, Ordering::Relaxed);
    assert_eq!(json(&small, &["rollout", "retry"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
    let sent = web.sent.lock().unwrap();
    assert!(sent.iter().all(|sent| sent.starts_with("GET /s3cret ")));
}

/// Settings with hooks that write down which they are; what those before waves do besides.
fn hooks(small: &Small, before_wave: &str, more: &str) {
    let note = "echo $TENANTRY_KEY $TENANTRY_KIND $TENANTRY_SCHEMAS $TENANTRY_DONE >> ran";
    let hook = |then: &str| format!("[['sh', '-c', '{note}; {then}']]");
    let text = format!(
        "[hooks]\nbefore_rollout = {}\nbefore_wave = {}\nafter_wave = {}\n{more}\n",
        hook("true"),
        hook(before_wave),
        hook("true"),
    );
    small.write("tenantry.toml", &text);
}

#[tokio::test]
async fn hooks_run_in_order_and_one_that_fails_halts() {
    let small = fleet(5).await;
    let web = web(200);
    let more = format!("after_rollout = ['{}']", web.url);
    hooks(
        &small,
        "test -e fine || { echo not yet >&2; exit 3; }",
        &more,
    );
    let _daemon = daemon(&small, &[NO_PROXY]);
    let start = [
        "rollout",
        "start",
        "--canaries",
        "1",
        "--waves",
        "100%",
        "--wait",
    ];
    let (code, shown) = json(&small, &start);
    assert_eq!((code, &shown["state"]), (7, &"halted".into()), "{shown}");
    let why = "hook 1 of hooks.before_wave (wave 0) failed: sh ended with exit code 3: not yet";
    assert_eq!(shown["why"], why, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::new());
    small.write("fine", "");
    assert_eq!(json(&small, &["rollout", "retry"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    let ran = [
        "rollout-1/before/1 5 0",
        "rollout-1/wave-0/before/1 canary 1 0",
        "rollout-1/wave-0/before/1 canary 1 0",
        "rollout-1/wave-0/after/1 canary 1 1",
        "rollout-1/wave-1/before/1 wave 4 0",
        "rollout-1/wave-1/after/1 wave 4 4",
    ];
    assert_eq!(small.read("ran").lines().collect::<Vec<_>>(), ran);
    let sent = web.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 1, "{sent:?}");
    let key = "idempotency-key: rollout-1/after/1\r\n";
    assert!(sent[0].contains(key), "{sent:?}");
    let (_, body) = sent[0].split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "key": "rollout-1/after/1", "hook": "after_rollout", "rollout": 1, "goal": null, "wave": null, "kind": null,
            "schemas": 5, "done": 5, "failed": 0, "skipped": 0
        })
    );
    // What is taken back runs none.
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    assert_eq!(json(&small, &["rollout", "watch"]).1["state"], "complete");
    assert_eq!(small.read("ran").lines().count(), ran.len());
}

/// Two daemons, the first of which conducts.
async fn two(small: &Small) -> (Daemon, Daemon) {
    let first = daemon(small, &[]);
    assert_eq!(json(small, &ALL_AT_ONCE).0, 0);
    let conducted = "select count(*) from tenantry.rollouts where daemon is not null";
    until_number(small, "it conducts", conducted, 1).await;
    (first, daemon(small, &[]))
}

#[tokio::test]
async fn what_came_through_is_not_run_again_by_whoever_takes_over() {
    let small = fleet(5).await;
    hooks(&small, "while ! test -e go; do sleep 0.05; done", "");
    let (mut first, _second) = two(&small).await;
    until_within(MINUTE, "the hook runs", async || {
        small.read("ran").contains("wave-0/before/1")
    })
    .await;
    let runs = "select count(*) from tenantry.rollouts where why = 'runs hook 1 of hooks.before_wave (wave 0)'";
    until_number(&small, "it says so", runs, 1).await;
    first.kill();
    until_within(MINUTE, "the other one runs it", async || {
        small.read("ran").matches("wave-0/before/1").count() == 2
    })
    .await;
    small.write("go", "");
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    let ran = small.read("ran");
    let ran = ran.lines().map(|line| line.split(' ').next().unwrap());
    let expected = [
        "rollout-1/before/1",
        "rollout-1/wave-0/before/1",
        "rollout-1/wave-0/before/1",
        "rollout-1/wave-0/after/1",
    ];
    assert_eq!(ran.collect::<Vec<_>>(), expected);
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 5)]));
}

#[tokio::test]
async fn nobody_waits_for_a_hook_who_pauses_or_cancels() {
    let small = fleet(5).await;
    hooks(&small, "echo $$ > pid; sleep 600", "");
    let _daemon = daemon(&small, &[]);
    assert_eq!(json(&small, &["rollout", "start"]).0, 0);
    until_within(MINUTE, "the hook runs", async || {
        small.read("pid").ends_with('\n')
    })
    .await;
    let asked = Instant::now();
    assert_eq!(json(&small, &["rollout", "pause"]).0, 0);
    let state =
        |state: &str| format!("select count(*) from tenantry.rollouts where state = '{state}'");
    until_number(&small, "it is paused", &state("paused"), 1).await;
    // While it is paused, the hook may end by itself.
    let lives = || {
        let pid = small.read("pid");
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args(["-0", pid.trim()]).output();
        sent.unwrap().status.success()
    };
    assert!(lives());
    assert_eq!(json(&small, &["rollout", "cancel"]).0, 0);
    until_number(&small, "it is cancelled", &state("cancelled"), 1).await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    until_within(MINUTE, "it is killed", async || !lives()).await;
    assert_eq!(moved(&small).await, BTreeMap::new());
}

#[tokio::test]
async fn a_daemon_that_says_again_why_it_waits_wakes_nobody() {
    let small = fleet(1).await;
    assert_eq!(json(&small, &["rollout", "start"]).0, 0);
    let mut listener = sqlx::postgres::PgListener::connect(&small.database.url)
        .await
        .unwrap();
    listener.listen("tenantry").await.unwrap();
    let mut connection = small.connect().await.into();
    for _ in 0..3 {
        rollouts::explain(&mut connection, 1, Some("so it is"))
            .await
            .unwrap();
    }
    small.run("notify tenantry, 'the end'").await;
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "the end") {
        told.push(listener.recv().await.unwrap().payload().to_owned());
    }
    assert_eq!(told, ["rollouts", "the end"]);
}

#[tokio::test]
async fn a_contract_waits_for_word_and_for_the_whole_fleet_and_goes_on() {
    let small = fleet(5).await;
    small.write("tenant/2-add.up.sql", "alter table t1 add column more int;");
    small.write("tenant/2-add.down.sql", "alter table t1 drop column more;");
    small.write(
        "tenant/3-drop.up.sql",
        "-- tenantry: phase=contract\ndrop table t1;",
    );
    small.write("tenant/3-drop.down.sql", "create table t1 (more int);");
    let _daemon = daemon(&small, &[]);
    // One tenant is no part of the rollout.
    let start = [
        "rollout",
        "start",
        "!tenant_1",
        "--canaries",
        "1",
        "--waves",
        "100%",
    ];
    assert_eq!(json(&small, &start).0, 0);
    let why = |why: &str| {
        format!(
            "select count(*) from tenantry.rollouts where state = 'running' and why like '{why}'"
        )
    };
    let waits = why("contract 3 waits for `tenantry release ack 3`");
    until_number(&small, "it waits for word", &waits, 1).await;
    let at =
        |version: i64| format!("select count(*) from tenantry.heads where version = '{version}'");
    let mut connection = small.connect().await;
    assert_eq!(number(&mut connection, &at(2)).await, 4);
    let (code, told) = json(&small, &["release", "ack", "2"]);
    assert_eq!(code, 2, "{told}");
    assert_eq!(
        json(&small, &["release", "list"]).1["migrations"][0]["acked_by"],
        serde_json::Value::Null
    );
    let (code, told) = json(
        &small,
        &["release", "ack", "3", "--reason", "version 7 is gone"],
    );
    assert_eq!((code, &told["changed"]), (0, &true.into()), "{told}");
    assert_eq!(json(&small, &["release", "ack", "3"]).1["changed"], false);
    let waits = why("contract 3 waits until 1 more schemas of the fleet are at 2");
    until_number(&small, "it waits for the fleet", &waits, 1).await;
    small
        .tenantry(&["up", "tenant_1", "--to", "2"])
        .assert()
        .success();
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(
        waves(&shown, "done"),
        [("canary", 1), ("wave", 3), ("canary", 1), ("wave", 3)]
    );
    assert_eq!(number(&mut connection, &at(3)).await, 4);
    let (_, listed) = json(&small, &["release", "list"]);
    let contract = &listed["migrations"][0];
    assert_eq!(
        (&contract["version"], &contract["name"]),
        (&"3".into(), &"drop".into()),
        "{listed}"
    );
    assert_eq!(contract["reason"], "version 7 is gone");

    // Each schema goes back to where it stood before the first of its waves.
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    let (_, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(
        (&shown["state"], &shown["back"]),
        (&"complete".into(), &true.into()),
        "{shown}"
    );
    let left = "select count(*) from pg_tables where tablename = 't1'";
    assert_eq!(number(&mut connection, left).await, 1, "that of tenant_1");
    // What is released stays released: only the fleet has to come so far again.
    small.tenantry(&["up", "--to", "2"]).assert().success();
    let (code, shown) = json(&small, &["rollout", "start", "tenant_1", "--wait"]);
    assert_eq!(code, 0, "{shown}");
}

#[tokio::test]
async fn what_requires_a_backfill_waits_until_it_is_done_everywhere() {
    let small = fleet(2).await;
    small.write(
        "tenant/1-t1.up.sql",
        "create table t1 (id int primary key, more int);",
    );
    small.make_directory("tenant/backfills");
    small.write(
        "tenant/backfills/fill.sql",
        "-- tenantry: backfill table=t1\nupdate t1 set more = 1 where {batch}",
    );
    small.write(
        "tenant/2-strict.up.sql",
        "-- tenantry: requires-backfill=fill\nalter table t1 alter column more set not null;",
    );
    small.write(
        "tenant/2-strict.down.sql",
        "alter table t1 alter column more drop not null;",
    );
    let _daemon = daemon(&small, &[]);
    assert_eq!(json(&small, &["rollout", "start"]).0, 0);
    let waits = "select count(*) from tenantry.rollouts
                  where why = '2 waits for the backfill fill, which is done in 0 of 2 tenants'";
    until_number(&small, "it waits", waits, 1).await;
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 2)]));
    small
        .tenantry(&["backfill", "start", "fill"])
        .assert()
        .success();
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 4)]));
}
