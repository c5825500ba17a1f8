//! `--events FILE`: a run as JSON lines.

use serde_json::{Value, json};

use crate::support::{Shop, snapshots};

/// The lines of a file of events.
fn lines(shop: &Shop, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(shop.path().join(file)).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// The kinds of the events of each run, in order.
fn runs(lines: &[Value]) -> Vec<Vec<&str>> {
    let same = lines.chunk_by(|one, next| one["run"] == next["run"]);
    same.map(|run| {
        run.iter()
            .map(|line| line["event"].as_str().unwrap())
            .collect()
    })
    .collect()
}

#[tokio::test]
async fn every_line_has_stable_keys() {
    let shop = Shop::with(&["acme", "blue", "coral"]).await;
    shop.migration(
        2,
        "unique-emails",
        "drop table if exists old;\ncreate unique index users_email\n    on users (email);\n",
        "drop index users_email;\n",
    );
    shop.sql("insert into blue.users values ('ann'), ('ann')")
        .await;
    let ran = shop.run(&[
        "up",
        "--events",
        "run.jsonl",
        "--concurrency",
        "1",
        "--max-failures",
        "0",
    ]);
    assert_eq!(ran.code, 1, "{}", ran.screen());
    let text = std::fs::read_to_string(shop.path().join("run.jsonl")).unwrap();
    let mut settings = snapshots();
    settings.add_filter(r#""run":"[0-9a-f]{16}""#, r#""run":"RUN""#);
    settings.add_filter(r#""at":"[^"]+""#, r#""at":"TIME""#);
    settings.add_filter(r#""who":"[^"]+""#, r#""who":"USER@HOST""#);
    settings.bind(|| insta::assert_snapshot!("events", text));
}

#[tokio::test]
async fn each_command_that_moves_adds_a_run() {
    let shop = Shop::with(&["acme"]).await;
    let more = ["--events", "run.jsonl", "--yes"];
    for command in [
        &["down", "acme", "--steps", "1"][..],
        &["goto", "1", "acme"],
        &["redo", "acme"],
        &["down", "--all", "--to", "0"],
    ] {
        let ran = shop.run(&[command, &more].concat());
        assert_eq!(ran.code, 0, "{}", ran.screen());
    }
    assert_eq!(shop.run(&["up", "--events", "run.jsonl"]).code, 0);
    let lines = lines(&shop, "run.jsonl");
    let one = [
        "run_begun",
        "scope_begun",
        "target_ended",
        "scope_finished",
        "run_finished",
    ];
    let both = [&one[..4], &one[1..]].concat();
    assert_eq!(
        runs(&lines),
        [one.to_vec(), one.to_vec(), one.to_vec(), both.clone(), both]
    );
    let begun = lines.iter().filter(|line| line["event"] == "run_begun");
    let commands: Vec<_> = begun
        .map(|line| line["command"].as_str().unwrap())
        .collect();
    assert_eq!(commands, ["down", "goto", "redo", "down", "up"]);
    let ways: Vec<_> = lines
        .iter()
        .filter(|line| line["target"]["schema"] == "acme")
        .collect();
    let way = |line: &Value| (line["from"].clone(), line["to"].clone());
    assert_eq!(way(ways[0]), (json!("1"), Value::Null));
    assert_eq!(way(ways[1]), (Value::Null, json!("1")));
    assert_eq!(way(ways[2]), (json!("1"), json!("1")));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_before_anything() {
    let shop = Shop::with(&["acme"]).await;
    shop.migration(
        2,
        "orders",
        "create table orders ();\n",
        "drop table orders;\n",
    );
    for file in ["no/such/directory.jsonl", "migrations", "-"] {
        let ran = shop.run(&["up", "--events", file]);
        assert_eq!(ran.code, 2, "{}", ran.screen());
        assert!(ran.stderr.contains("events"), "{}", ran.screen());
    }
    assert_eq!(shop.run(&["status", "--check"]).code, 3);
}

#[tokio::test]
async fn a_full_disk_stops_nobody_and_is_said() {
    let shop = Shop::with(&["acme", "blue"]).await;
    shop.migration(
        2,
        "orders",
        "create table orders ();\n",
        "drop table orders;\n",
    );
    let ran = shop.run(&["up", "--events", "/dev/full"]);
    assert_eq!(ran.code, 0, "{}", ran.screen());
    let said = "warning: events are no longer written to /dev/full: No space left on device";
    assert_eq!(ran.stderr.matches(said).count(), 1, "{}", ran.screen());
    let ran = shop.run(&[
        "down",
        "--all",
        "--steps",
        "1",
        "--yes",
        "--output",
        "json",
        "--events",
        "/dev/full",
    ]);
    let lost = ran.json()["events_lost"].as_str().unwrap().to_owned();
    assert!(lost.contains("No space left"), "{lost}");
    assert_eq!(ran.json()["scopes"][0]["moved"], 2);
}

#[tokio::test]
async fn a_run_that_cannot_be_made_has_a_beginning_and_an_end() {
    let shop = Shop::with(&["acme"]).await;
    let mut command = shop.command(&["up", "--events", "run.jsonl"]);
    command.env(
        "TENANTRY__HOME__URL",
        "postgres://nobody@127.0.0.1:1/nothing",
    );
    command.assert().code(69);
    let lines = lines(&shop, "run.jsonl");
    assert_eq!(runs(&lines), [["run_begun", "run_finished"]]);
    assert_eq!(lines[1]["exit_code"], 69);
    assert!(
        lines[1]["error"]
            .as_str()
            .unwrap()
            .contains("cannot connect")
    );
}

#[tokio::test]
async fn who_is_left_out_and_what_is_refused_is_told() {
    let shop = Shop::with(&["acme", "blue"]).await;
    shop.sql("drop schema blue cascade").await;
    assert_eq!(shop.run(&["up", "--events", "run.jsonl"]).code, 1);
    shop.write("tenant_migrations/1-users.up.sql", "select 'changed';\n");
    assert_eq!(shop.run(&["up", "--events", "run.jsonl"]).code, 6);
    let lines = lines(&shop, "run.jsonl");
    let scopes = ["scope_begun", "scope_finished"].repeat(2);
    let first = [
        &["run_begun"],
        &scopes[..],
        &["target_blocked", "run_finished"],
    ]
    .concat();
    let second = ["run_begun", "refused", "target_blocked", "run_finished"];
    assert_eq!(runs(&lines), [first, second.to_vec()]);
    assert_eq!(lines[5]["target"]["schema"], "blue");
    assert_eq!(lines[5]["kind"], "gone");
    assert_eq!(lines[8]["refusal"]["kind"], "changed");
}
