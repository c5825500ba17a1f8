//! `wait`, as deploys and init containers use it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, Command, Stdio},
};

use insta::assert_snapshot;
use predicates::str::contains;
use serde_json::Value;

use crate::support::{Several, Small, small, snapshots};

fn json(small: &Small, arguments: &[&str]) -> (i32, Value) {
    let arguments = [arguments, &["--output", "json"]].concat();
    let output = small.tenantry(&arguments).output().unwrap();
    let json = match output.stdout.is_empty() {
        true => serde_json::from_slice(&output.stderr).unwrap(),
        false => serde_json::from_slice(&output.stdout).unwrap(),
    };
    (output.status.code().unwrap(), json)
}

/// The command in the background, once it has looked and found that it has to wait.
struct Gate {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Gate {
    fn shut(small: &Small, arguments: &[&str]) -> Self {
        let command = small.tenantry(arguments);
        let mut background = Command::new(command.get_program());
        background
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => background.env(name, value),
                None => background.env_remove(name),
            };
        }
        let piped = background.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        assert!(said.starts_with("note: waiting: "), "{said}");
        Self {
            child,
            stderr,
            said,
        }
    }

    /// Waits for its end; gives its exit code and all that it has written.
    fn open(mut self) -> (i32, String) {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), self.said + &stdout)
    }
}

#[tokio::test]
async fn who_has_arrived_is_let_through_at_once() {
    let small = small(2).await;
    small.add("acme").await;
    snapshots().bind(|| {
        let json = small.json(&["wait"]);
        let json = without_time(&json);
        assert_snapshot!("wait_json", json);
    });
    let (code, json) = json(&small, &["wait", "acme", "--version", "2"]);
    assert_eq!(
        (code, &json["arrived"], &json["version"]),
        (0, &true.into(), &"2".into())
    );
}

/// The one time in it is left out.
fn without_time(text: &str) -> String {
    let lines = text.lines().map(|line| match line.contains("waited_ms") {
        true => "  \"waited_ms\": 0,",
        false => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn who_waits_for_nobody_is_not_let_through() {
    let small = small(1).await;
    small.add("acme").await;
    for (selector, said) in [
        ("shard:eu9", "no shard eu9; there are main"),
        ("!shard:eu9", "no shard eu9; there are main"),
        ("label:tier=free", "no tenant has the label tier=free"),
        ("z*", "z* selects no tenant: there is nobody to wait for"),
    ] {
        let refused = small.tenantry(&["wait", selector]).assert();
        refused.code(2).stderr(contains(said));
    }
}

#[tokio::test]
async fn a_deploy_waits_until_somebody_has_moved_the_fleet() {
    let mut small = small(1).await;
    for tenant in ["acme", "bolt"] {
        small.add(tenant).await;
    }
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    small = small.reopened();
    let gate = Gate::shut(&small, &["wait", "--interval", "50ms"]);
    let arguments = [
        "wait",
        "version<2,!bolt",
        "--version",
        "2",
        "--interval",
        "50ms",
    ];
    let one = Gate::shut(&small, &arguments);
    let moved = small.text(&["up", "acme"]);
    assert!(moved.starts_with("exit code 0"), "{moved}");
    let (code, text) = one.open();
    assert_eq!(code, 0, "{text}");
    let moved = small.text(&["up"]);
    assert!(moved.starts_with("exit code 0"), "{moved}");
    let (code, text) = gate.open();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("tenants: 2 of 2 there after"), "{text}");
    assert!(
        text.contains("shared schemas: 0 of 0, tenants: 0 of 2 there"),
        "{text}"
    );
}

#[tokio::test]
async fn time_that_is_over_dirt_and_slips_have_codes_of_their_own() {
    let mut small = small(1).await;
    for tenant in ["acme", "bolt"] {
        small.add(tenant).await;
    }
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    small = small.reopened();
    let (code, json_) = json(&small, &["wait", "--timeout", "0s"]);
    assert_eq!((code, &json_["arrived"]), (3, &false.into()), "{json_}");
    assert_eq!(json_["scopes"][1]["pending"], 2, "{json_}");
    // What is not in the files may still come.
    assert_eq!(
        json(&small, &["wait", "--version", "7", "--timeout", "0s"]).0,
        3
    );
    assert_eq!(
        json(&small, &["wait", "--version", "1", "--timeout", "0s"]).0,
        0
    );
    assert_eq!(json(&small, &["wait", "nobody"]).0, 2);
    assert_eq!(json(&small, &["wait", "--timeout", "7"]).0, 2);
    small
        .run("update tenantry.heads set dirty_version = '2' where schema_name = 'acme'")
        .await;
    assert_eq!(json(&small, &["wait", "--timeout", "0s"]).0, 5);
    assert!(small.text(&["up", "bolt"]).starts_with("exit code 0"));
    // Nobody waits ten minutes for what only a person can mend.
    let (code, json_) = json(&small, &["wait"]);
    assert_eq!(
        (code, &json_["scopes"][1]["blocked"][0]["kind"]),
        (5, &"dirty".into()),
        "{json_}"
    );
    assert_eq!(json(&small, &["wait", "!acme"]).0, 0);
}

#[tokio::test]
async fn tenants_are_waited_for_from_their_registration_on_and_not_while_suspended() {
    let small = small(1).await;
    small.add("acme").await;
    small
        .run("insert into tenantry.tenants (name, shard, state) values ('bolt', 'main', 'provisioning')")
        .await;
    assert_eq!(json(&small, &["wait", "--timeout", "0s"]).0, 0);
    assert_eq!(json(&small, &["wait", "bolt", "--timeout", "0s"]).0, 3);
    let gate = Gate::shut(&small, &["wait", "bolt", "--interval", "50ms"]);
    assert!(
        small
            .text(&["tenant", "add", "bolt"])
            .starts_with("exit code 0")
    );
    let (code, text) = gate.open();
    assert_eq!(code, 0, "{text}");
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    for arguments in [["tenant", "suspend", "bolt"], ["up", "acme", "-q"]] {
        assert!(small.text(&arguments).starts_with("exit code 0"));
    }
    assert_eq!(json(&small, &["wait", "--timeout", "0s"]).0, 0);
}

#[tokio::test]
async fn a_database_that_is_not_there_yet_is_waited_for() {
    let small = small(1).await;
    let address = "postgres://nobody@127.0.0.1:1/none";
    let mut command = small.tenantry(&["wait", "--timeout", "200ms", "--interval", "50ms"]);
    let output = command
        .env("TENANTRY__HOME__URL", address)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains("waiting: cannot connect to"), "{text}");
}

#[tokio::test]
async fn a_shard_that_is_away_when_the_time_is_over_is_named() {
    let mut several = Several::with(&[("eu1", 1), ("eu2", 2)]).await;
    several.away(&["eu2"]);
    let ran = several.run(&["wait", "--timeout", "0s"]);
    assert_eq!(ran.code, 3, "{}", ran.screen());
    let named = "shard eu2 cannot be worked on, and 3 schemas on it are left out: ";
    assert!(ran.stderr.contains(named), "{}", ran.screen());
    let json = several.run(&["wait", "--timeout", "0s", "--output", "json"]);
    let unwell = json.json()["unwell"].clone();
    assert_eq!(unwell.as_array().unwrap().len(), 1, "{unwell}");
    assert_eq!(unwell[0]["shard"], "eu2");
}

#[tokio::test]
async fn a_deploy_that_is_called_off_waits_no_longer() {
    let mut small = small(1).await;
    small.add("acme").await;
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    small = small.reopened();
    let gate = Gate::shut(&small, &["wait"]);
    let ended = Command::new("kill")
        .arg(gate.child.id().to_string())
        .status()
        .unwrap();
    assert!(ended.success());
    assert_eq!(gate.open().0, 130);
}
