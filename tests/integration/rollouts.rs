//! Rollouts: the fleet moved wave by wave, by daemons that are started and killed as they are in production.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::Value;
use tenantry::{sql::Ident, structure};

use crate::support::{
    Small,
    fleet::empty_tenants,
    rollouts::{ALL_AT_ONCE, MINUTE, daemon, fleet, json, moved, number, waves},
    small, until_within,
};

#[tokio::test]
async fn what_a_killed_daemon_had_is_taken_over_and_everybody_is_moved_once() {
    let small = fleet(1000).await;
    let pace = [("TENANTRY__APPLY__DDL_PER_SECOND", "300")];
    let (mut first, _second) = (daemon(&small, &pace), daemon(&small, &pace));
    let start = ["rollout", "start", "--canaries", "1%", "--waves", "10%"];
    let (code, started) = json(&small, &start);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let name = format!("% pid {}", first.0.id());
    let at_work = format!(
        "select count(*) from tenantry.runs r join tenantry.daemons d on d.id = r.daemon
          where r.wave = 2 and d.name like '{name}'"
    );
    until_within(
        MINUTE,
        "the first is at work in the last wave",
        async || number(&mut connection, &at_work).await > 0,
    )
    .await;
    first.kill();
    let (killed, done) = (
        Instant::now(),
        "select count(*) from tenantry.rollouts where state = 'complete'",
    );
    until_within(MINUTE, "it is complete", async || {
        number(&mut connection, done).await == 1
    })
    .await;
    // The term of 2 s, 2 s more, and what two daemons had left to do at their pace.
    assert!(
        killed.elapsed() < Duration::from_secs(12),
        "{:?}",
        killed.elapsed()
    );
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    let kinds: Vec<_> = shown["waves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (w["kind"].as_str().unwrap(), w["done"].as_i64().unwrap()))
        .collect();
    assert_eq!(kinds, [("canary", 10), ("wave", 90), ("wave", 900)]);
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 1000)]));
}

/// What is left behind of daemons that have ended: rows that say that they are at work, locks and statements.
async fn left_behind(small: &Small) -> Vec<(&'static str, i64)> {
    let mut connection = small.connect().await;
    let mut left = Vec::new();
    for (what, query) in [
        ("daemons", "select count(*) from tenantry.daemons"),
        (
            "slots",
            "select count(*) from tenantry.slots where daemon is not null",
        ),
        (
            "runs",
            "select count(*) from tenantry.runs where daemon is not null",
        ),
        (
            "locks",
            "select count(*) from pg_locks where locktype = 'advisory'
                and database = (select oid from pg_database where datname = current_database())",
        ),
        (
            "sessions",
            "select count(*) from pg_stat_activity
              where datname = current_database() and application_name like 'tenantry%'",
        ),
    ] {
        match number(&mut connection, query).await {
            0 => {}
            count => left.push((what, count)),
        }
    }
    left
}

/// Tenants `tenant_1` and so on whose number this divides have a table that is in the way of the migration.
async fn obstruct(small: &Small, every: usize) {
    small
        .run(&format!(
            "do $$ begin
                 for number in 1 .. (select count(*) from tenantry.tenants) loop
                     if number % {every} = 0 and number < 990 then
                         execute format('create table %I.t1 (theirs int)', 'tenant_' || number);
                     end if;
                 end loop;
             end $$"
        ))
        .await;
}

#[tokio::test]
async fn too_many_failures_pause_it_a_retry_is_for_those_only_and_all_of_it_goes_back() {
    let small = fleet(1000).await;
    let schema = Ident::new("tenant_500").unwrap();
    let before = structure::snapshot(&mut small.connect().await, &schema)
        .await
        .unwrap();
    // Ten are where the rollout would take them, and are to stay there.
    small.tenantry(&["up", "tenant_99?"]).assert().success();
    let moved_before = moved(&small).await[&1];
    obstruct(&small, 33).await;
    let _daemon = daemon(&small, &[]);
    let start = [
        "rollout",
        "start",
        "--canaries",
        "1%",
        "--waves",
        "10%",
        "--max-failures",
        "1%",
        "--wait",
    ];
    let (code, shown) = json(&small, &start);
    assert_eq!(code, 7, "{shown}");
    assert_eq!(shown["state"], "paused", "{shown}");
    let failed = waves(&shown, "failed");
    let all: i64 = failed.iter().map(|(_, failed)| failed).sum();
    // One more than may fail, and what the other three connections had begun.
    assert!((11..=14).contains(&all), "{failed:?}");
    let states: Vec<_> = shown["waves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wave| wave["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["done", "done", "running"]);
    assert!(shown["why"].as_str().unwrap().contains("10 may"), "{shown}");

    small
        .run(
            "do $$ declare s text; begin
                  for s in select schemaname from pg_tables t where tablename = 't1'
                     and exists (select from pg_attribute a where a.attname = 'theirs'
                                  and a.attrelid = format('%I.%I', schemaname, tablename)::regclass)
                  loop execute format('drop table %I.t1', s); end loop;
              end $$",
        )
        .await;
    let tried = number(
        &mut small.connect().await,
        "select sum(attempts) from tenantry.runs where state = 'failed'",
    )
    .await;
    let (code, told) = json(
        &small,
        &["rollout", "retry", "--reason", "the tables are gone"],
    );
    assert_eq!((code, told["runs"].as_i64()), (0, Some(all)), "{told}");
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!((code, &shown["state"]), (0, &"complete".into()), "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 1000)]));
    let again = number(
        &mut small.connect().await,
        "select sum(attempts) - count(*) from tenantry.runs",
    )
    .await;
    assert_eq!(
        again, tried,
        "those that had come through were not begun again"
    );

    let (code, told) = json(&small, &["rollout", "rollback", "--yes"]);
    assert_eq!(code, 0, "{told}");
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(
        (code, &shown["state"], &shown["back"]),
        (7, &"complete".into(), &true.into()),
        "{shown}"
    );
    let rest = "select count(*) from tenantry.heads where version is not null";
    assert_eq!(number(&mut small.connect().await, rest).await, moved_before);
    let after = structure::snapshot(&mut small.connect().await, &schema)
        .await
        .unwrap();
    assert!(structure::diff(&before, &after).is_empty());
    let actions: Vec<_> = shown["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    for action in ["retry", "roll back", "take back", "complete"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
}

#[tokio::test]
async fn it_stands_still_within_a_second_and_daemons_leave_nothing_behind() {
    let small = fleet(600).await;
    let pace = [
        ("TENANTRY__APPLY__DDL_PER_SECOND", "200"),
        ("TENANTRY__APPLY__GROUP_TIME", "0s"),
    ];
    let mut first = daemon(&small, &pace);
    let (code, started) = json(&small, &ALL_AT_ONCE);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let some = "select count(*) from tenantry.runs where state = 'done'";
    until_within(MINUTE, "some are moved", async || {
        number(&mut connection, some).await > 20
    })
    .await;
    let asked = Instant::now();
    assert_eq!(
        json(&small, &["rollout", "pause", "--reason", "to see it stand"]).0,
        0
    );
    let paused = "select count(*) from tenantry.rollouts where state = 'paused'";
    until_within(MINUTE, "it is paused", async || {
        number(&mut connection, paused).await == 1
    })
    .await;
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    let done = number(&mut connection, some).await;
    let histories = "select count(*) from tenantry.history";
    assert_eq!(number(&mut connection, histories).await, done);
    assert!(done < 600);
    // Nothing is wanted twice.
    assert_eq!(json(&small, &["rollout", "pause"]).1["changed"], false);

    assert_eq!(json(&small, &["rollout", "resume"]).0, 0);
    until_within(MINUTE, "it goes on", async || {
        number(&mut connection, some).await > done
    })
    .await;
    let asked = Instant::now();
    assert_eq!(json(&small, &["rollout", "cancel"]).0, 0);
    let cancelled = "select count(*) from tenantry.rollouts where state = 'cancelled'";
    until_within(MINUTE, "it is cancelled", async || {
        number(&mut connection, cancelled).await == 1
    })
    .await;
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(json(&small, &["rollout", "resume"]).0, 1);
    first.end(&["TERM"]).await;
    assert_eq!(left_behind(&small).await, []);
}

#[tokio::test]
async fn a_second_signal_cancels_what_runs_and_nothing_is_left_behind() {
    let small = fleet(3).await;
    small.write(
        "tenant/2-slow.up.sql",
        "create table slow (); select pg_sleep(600);",
    );
    small.write("tenant/2-slow.down.sql", "drop table slow;");
    let mut daemon = daemon(&small, &[]);
    let (code, started) = json(&small, &["rollout", "start", "--canaries", "0"]);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let asleep = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    until_within(MINUTE, "it sleeps", async || {
        number(&mut connection, asleep).await > 0
    })
    .await;
    daemon.end(&["TERM", "TERM"]).await;
    assert_eq!(left_behind(&small).await, []);
    // All of a tenant's plan is one transaction.
    assert_eq!(moved(&small).await, BTreeMap::new());
    let open = "select count(*) from tenantry.runs where state = 'pending' and attempts <= 1";
    assert_eq!(number(&mut connection, open).await, 3);
}

#[tokio::test]
async fn a_locked_tenant_delays_only_itself_and_whoever_holds_it_is_named() {
    let small = small(1).await;
    empty_tenants(&small.database, &small.fleet, 50).await;
    small.tenantry(&["up"]).assert().success();
    small.write("tenant/2-t2.up.sql", "alter table t1 add column more int;");
    small.write("tenant/2-t2.down.sql", "alter table t1 drop column more;");
    let mut application = small.connect().await;
    // To itself alone: whoever chooses canaries cannot even see how large it is.
    sqlx::raw_sql("begin; lock tenant_7.t1 in access exclusive mode")
        .execute(&mut application)
        .await
        .unwrap();
    // One connection: whoever waited would make all the others wait.
    let _daemon = daemon(&small, &[("TENANTRY__APPLY__CONCURRENCY", "1")]);
    let (code, started) = json(&small, &["rollout", "start"]);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let asked = Instant::now();
    let done = "select count(*) from tenantry.runs where state = 'done'";
    until_within(MINUTE, "the others are done", async || {
        number(&mut connection, done).await == 49
    })
    .await;
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    let named = "select count(*) from tenantry.runs where schema_name = 'tenant_7' and blocker like '%pid%'";
    until_within(MINUTE, "who holds it is written", async || {
        number(&mut connection, named).await == 1
    })
    .await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut application)
        .await
        .unwrap();
    let shown = small.text(&["rollout", "show"]);
    assert!(shown.contains(&format!("in its way: pid {pid}")), "{shown}");
    // What others run may hold a tenant's data: it is nowhere in the home database.
    for table in ["runs", "attempts", "events", "rollouts"] {
        let said =
            format!("select count(*) from tenantry.{table} t where t::text like '%lock tenant_7%'");
        assert_eq!(number(&mut connection, &said).await, 0, "{table}");
    }
    sqlx::raw_sql("rollback")
        .execute(&mut application)
        .await
        .unwrap();
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    let expected = [("canary", 1), ("wave", 4), ("wave", 45)];
    assert_eq!(waves(&shown, "done"), expected);
}

#[tokio::test]
async fn waves_wait_for_whoever_has_to_approve_them() {
    let small = fleet(20).await;
    let _daemon = daemon(&small, &[]);
    let start = [
        "rollout",
        "start",
        "tenant_1?",
        "--canaries",
        "1",
        "--waves",
        "50%",
        "--approval",
        "canaries",
    ];
    let (code, started) = json(&small, &start);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let waits = "select count(*) from tenantry.rollouts where why like 'wave 1 waits%'";
    until_within(MINUTE, "it waits", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 1)]));
    let (code, approved) = json(
        &small,
        &["rollout", "approve", "--reason", "the canary sings"],
    );
    assert_eq!(
        (code, approved["wave"].as_i64()),
        (0, Some(1)),
        "{approved}"
    );
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(
        waves(&shown, "done"),
        [("canary", 1), ("wave", 4), ("wave", 5)]
    );
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 10)]));
    let nothing = json(&small, &["rollout", "approve"]);
    assert_eq!(nothing.0, 1, "{nothing:?}");
}

#[tokio::test]
async fn one_at_a_time_and_only_with_the_files_that_it_was_started_with() {
    let small = fleet(2).await;
    let (code, started) = json(&small, &["rollout", "start", "--reason", "first"]);
    assert_eq!(
        (code, started["state"].as_str()),
        (0, Some("waiting")),
        "{started}"
    );
    let (code, refused) = json(&small, &["rollout", "start"]);
    assert_eq!(code, 75, "{refused}");
    assert_eq!(started["lacks_files"], false, "{started}");
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    let _daemon = daemon(&small, &[]);
    // What it was started with is not what the daemon has: it is left alone, and those who look are told.
    until_within(MINUTE, "it is told that nobody has the files", async || {
        json(&small, &["rollout", "show"]).1["lacks_files"] == true
    })
    .await;
    let said = small.text(&["rollout", "show"]);
    let warning = "no daemon that runs has the migrations that it was started with";
    assert!(said.contains(&format!("warning: {warning}")), "{said}");
    let said = small.text(&["rollout", "list"]);
    assert!(
        said.contains(&format!("warning: rollout 1: {warning}")),
        "{said}"
    );
    // To stand still it needs no files. Nobody has planned it.
    assert_eq!(json(&small, &["rollout", "pause"]).0, 0);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(
        (code, &shown["state"], &shown["begun_at"]),
        (7, &"waiting".into(), &Value::Null),
        "{shown}"
    );
    assert_eq!(shown["lacks_files"], false, "{shown}");
    let said = small.text(&["rollout", "show"]);
    assert!(said.contains("rollout 1 is paused"), "{said}");
    let mut connection = small.connect().await;
    let conducted = "select count(*) from tenantry.rollouts where daemon is not null";
    until_within(MINUTE, "the daemon conducts it", async || {
        number(&mut connection, conducted).await == 1
    })
    .await;
    // To go on it does, and the daemon that conducts it gives it up.
    assert_eq!(json(&small, &["rollout", "resume"]).0, 0);
    until_within(MINUTE, "nobody conducts it", async || {
        number(&mut connection, conducted).await == 0
    })
    .await;
    assert_eq!(moved(&small).await, BTreeMap::new());
    small.remove("tenant/2-t2.up.sql");
    small.remove("tenant/2-t2.down.sql");
    let other = daemon(&small, &[]);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 2)]));
    let events = shown["events"].as_array().unwrap();
    let plan = events.iter().find(|event| event["action"] == "plan");
    let pid = format!(" pid {}", other.0.id());
    let who = plan.unwrap()["who"].as_str().unwrap();
    assert!(who.ends_with(&pid), "{who}");
    let (_, listed) = json(&small, &["rollout", "list"]);
    assert_eq!(listed["rollouts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_comes_meanwhile_is_built_up_to_the_goal_and_listed() {
    let small = fleet(3).await;
    small.write("tenant/2-more.up.sql", "create table more ();");
    small.write("tenant/2-more.down.sql", "drop table more;");
    let start = ["rollout", "start", "--to", "1", "--approval", "each"];
    let (code, started) = json(&small, &start);
    assert_eq!(code, 0, "{started}");
    // Before it is planned, too: its goal is said.
    let (code, added) = json(&small, &["tenant", "add", "early"]);
    assert_eq!(code, 0, "{added}");
    assert_eq!(small.tables("early").await, ["t1"]);
    let _daemon = daemon(&small, &[("TENANTRY__PROVISION__POOL_MAX", "3")]);
    let mut connection = small.connect().await;
    until_within(MINUTE, "it is planned", async || {
        number(&mut connection, "select count(*) from tenantry.waves").await > 1
    })
    .await;
    let (code, added) = json(&small, &["tenant", "add", "late"]);
    assert_eq!(code, 0, "{added}");
    assert_eq!(small.tables("late").await, ["t1"]);
    let (_, shown) = json(&small, &["rollout", "show"]);
    let joined = shown["joined"].as_array().unwrap();
    assert_eq!(joined.len(), 1, "{shown}");
    assert_eq!(joined[0]["name"], "late");
    let text = small.text(&["rollout", "show"]);
    assert!(text.contains("since it was planned: late"), "{text}");
    // Once nobody wants it any more, new tenants get all that the files have.
    let (code, _) = json(&small, &["rollout", "cancel"]);
    assert_eq!(code, 0);
    until_within(MINUTE, "it is over", async || {
        let over =
            "select count(*) from tenantry.rollouts where state in ('cancelled', 'complete')";
        number(&mut connection, over).await == 1
    })
    .await;
    let (code, added) = json(&small, &["tenant", "add", "later"]);
    assert_eq!(code, 0, "{added}");
    assert_eq!(small.tables("later").await, ["more", "t1"]);
    let (_, shown) = json(&small, &["rollout", "show"]);
    assert_eq!(shown["joined"].as_array().unwrap().len(), 1, "{shown}");
}

#[tokio::test]
async fn a_daemon_that_stood_still_beyond_its_term_changes_nothing_of_what_others_took_over() {
    let small = fleet(400).await;
    let pace = [("TENANTRY__APPLY__DDL_PER_SECOND", "100")];
    let mut first = daemon(&small, &pace);
    let (code, started) = json(&small, &ALL_AT_ONCE);
    assert_eq!(code, 0, "{started}");
    let mut connection = small.connect().await;
    let some = "select count(*) from tenantry.runs where state = 'done'";
    until_within(MINUTE, "it is at work", async || {
        number(&mut connection, some).await > 5
    })
    .await;
    first.signal("STOP");
    let _second = daemon(&small, &[]);
    let ended = "select count(*) from tenantry.rollouts where state = 'complete'";
    until_within(MINUTE, "the second has done all", async || {
        number(&mut connection, ended).await == 1
    })
    .await;
    let by = "select count(distinct who) from tenantry.history";
    assert_eq!(
        number(&mut connection, by).await,
        1,
        "both are the same user"
    );
    assert_eq!(json(&small, &["rollout", "rollback", "--yes"]).0, 0);
    assert_eq!(json(&small, &["rollout", "watch"]).0, 7);
    first.signal("CONT");
    // It finds that its time was over, and begins another.
    let times = "select max(id) from tenantry.daemons";
    until_within(MINUTE, "it takes part again", async || {
        number(&mut connection, times).await == 3
    })
    .await;
    assert_eq!(moved(&small).await, BTreeMap::from([(1, 800)]));
    let left = "select count(*) from pg_tables where tablename = 't1'";
    assert_eq!(number(&mut connection, left).await, 0);
    first.end(&["TERM"]).await;
}

#[tokio::test]
async fn what_is_wrong_for_all_halts_it_at_the_first_however_many_may_fail() {
    let small = fleet(40).await;
    small.write(
        "tenant/2-wrong.up.sql",
        "do $$ begin if current_schema() = 'tenant_40' then execute 'selct 1'; end if; end $$;",
    );
    small.write("tenant/2-wrong.down.sql", "select 1;");
    let _daemon = daemon(&small, &[("TENANTRY__APPLY__CONCURRENCY", "2")]);
    let start = [
        "rollout",
        "start",
        "--canaries",
        "1",
        "--max-failures",
        "100%",
        "--wait",
    ];
    let (code, shown) = json(&small, &start);
    assert_eq!((code, &shown["state"]), (7, &"halted".into()), "{shown}");
    let failed: i64 = waves(&shown, "failed")
        .iter()
        .map(|(_, failed)| failed)
        .sum();
    assert_eq!(failed, 1, "{shown}");
    assert!(
        shown["why"].as_str().unwrap().contains("wrong for all"),
        "{shown}"
    );
    let (code, refused) = json(&small, &["rollout", "resume"]);
    assert_eq!(code, 1, "{refused}");
    // What came through before goes back, whatever stopped the others.
    let before = "select count(*) from tenantry.heads where version is not null";
    let moved = number(&mut small.connect().await, before).await;
    let (code, told) = json(&small, &["rollout", "rollback", "--yes"]);
    assert_eq!(code, 0, "{told}");
    let (_, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(
        (&shown["state"], &shown["back"]),
        (&"complete".into(), &true.into()),
        "{shown}"
    );
    assert!(moved > 0);
    assert_eq!(number(&mut small.connect().await, before).await, 0);
}

#[tokio::test]
async fn nothing_to_do_is_complete_at_once() {
    let small = fleet(30).await;
    small.tenantry(&["up"]).assert().success();
    let _daemon = daemon(&small, &[]);
    let (code, shown) = json(&small, &["rollout", "start", "--wait"]);
    assert_eq!((code, &shown["state"]), (0, &"complete".into()), "{shown}");
    assert_eq!(
        (&shown["targets"], &shown["current"]),
        (&30.into(), &30.into())
    );
    assert_eq!(shown["waves"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn indexes_are_built_one_after_the_other_on_a_database_whoever_builds_them() {
    let small = fleet(8).await;
    small.write(
        "tenant/2-index.up.sql",
        "-- tenantry: no-transaction\ncreate index concurrently t1_by_it on t1 ((1));",
    );
    small.write("tenant/2-index.down.sql", "drop index t1_by_it;");
    let _daemons = [daemon(&small, &[]), daemon(&small, &[])];
    let (code, shown) = json(&small, &[&ALL_AT_ONCE[..], &["--wait"]].concat());
    assert_eq!(code, 0, "{shown}");
    let overlapping = "select count(*) from tenantry.history a join tenantry.history b on a.id < b.id
                        where a.name = 'index' and b.name = 'index'
                          and tstzrange(a.started_at, a.finished_at) && tstzrange(b.started_at, b.finished_at)";
    assert_eq!(number(&mut small.connect().await, overlapping).await, 0);
    let built = "select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid
                  where c.relname = 't1_by_it' and indisvalid";
    assert_eq!(number(&mut small.connect().await, built).await, 8);
}

#[tokio::test]
async fn nothing_is_begun_on_a_server_that_has_too_much_to_do() {
    let small = fleet(30).await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        let mut connection = small.connect().await;
        busy.push(tokio::spawn(async move {
            let _ = sqlx::raw_sql("select pg_sleep(600)")
                .execute(&mut connection)
                .await;
        }));
    }
    let mut connection = small.connect().await;
    let _daemon = daemon(
        &small,
        &[
            ("TENANTRY__LOAD__ACTIVE_SESSIONS", "2"),
            ("TENANTRY__APPLY__DDL_PER_SECOND", "5"),
        ],
    );
    let (code, started) = json(&small, &ALL_AT_ONCE);
    assert_eq!(code, 0, "{started}");
    let waits = "select count(*) from tenantry.holds where why like 'active sessions%above 2%'";
    until_within(MINUTE, "it waits", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
    let (_, shown) = json(&small, &["rollout", "show"]);
    assert_eq!(shown["holds"][0]["shard"], "main", "{shown}");
    // Whoever wants it to stand still is heard meanwhile.
    assert_eq!(json(&small, &["rollout", "pause"]).0, 0);
    let paused = "select count(*) from tenantry.rollouts where state = 'paused'";
    until_within(MINUTE, "it is paused", async || {
        number(&mut connection, paused).await == 1
    })
    .await;
    assert_eq!(json(&small, &["rollout", "resume"]).0, 0);
    until_within(MINUTE, "it waits again", async || {
        number(&mut connection, waits).await == 1
    })
    .await;
    let ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                  where datname = current_database() and query = 'select pg_sleep(600)'";
    assert_eq!(number(&mut connection, ended).await, 3);
    let (code, shown) = json(&small, &["rollout", "watch"]);
    assert_eq!(
        (code, waves(&shown, "done")),
        (0, vec![("wave", 30)]),
        "{shown}"
    );
    assert_eq!(
        number(&mut connection, "select count(*) from tenantry.holds").await,
        0
    );
}
