//! Several migrations at once, and several databases at once: what only fails together is found, and always the same.

use std::sync::Mutex;

use tenantry::verify::{Request, Verdict};

use crate::{roundtrip::words, support::Written};

#[tokio::test]
async fn what_fails_only_at_once_is_found_on_its_path() {
    let stamp = |name| {
        (
            name,
            "insert into runs values (now());",
            Some("delete from runs where at = (select max(at) from runs);"),
        )
    };
    let set = Written::new(&[
        (
            "runs",
            "create table runs (at timestamptz primary key);",
            Some("drop table runs;"),
        ),
        stamp("first"),
        (
            "plans",
            "create table plans (id int);",
            Some("drop table plans;"),
        ),
        stamp("second"),
        (
            "colours",
            "create table colours (id int);",
            Some("drop table colours;"),
        ),
    ]);
    let report = set.verify().await;
    let singles: Vec<_> = report.migrations.iter().map(|p| p.verdict).collect();
    assert_eq!(singles, [Verdict::Exact; 5], "{}", words(report.proofs()));
    let found = words(&report.paths).replace(&set.path().display().to_string(), "");
    insta::assert_snapshot!(found, @r#"
    from nothing to 2 at once: exact
    from 2 to 4 at once: exact
    from nothing to 4 at once: fails
    the up fails:
      /tenant/4-second.up.sql:1:1: duplicate key value violates unique constraint "runs_pkey" (SQLSTATE 23505)
    from nothing to 5 at once: fails
    the up fails:
      /tenant/4-second.up.sql:1:1: duplicate key value violates unique constraint "runs_pkey" (SQLSTATE 23505)
    "#);
    assert!(!report.is_ok());
}

#[tokio::test]
async fn what_leaves_something_else_at_once_is_found_on_its_path() {
    // As many columns as there were transactions: what a script must not look at, and some do.
    let set = Written::new(&[
        (
            "t",
            "create table t (id int); create table seen (x xid8); insert into seen values (pg_current_xact_id());",
            Some("drop table t; drop table seen;"),
        ),
        (
            "column",
            "do $$ begin
                 if (select x from seen) <> pg_current_xact_id() then alter table t add late int; end if;
             end $$;",
            Some("alter table t drop column if exists late;"),
        ),
    ]);
    let report = set.verify().await;
    insta::assert_snapshot!(words(&report.paths), @r#"
    from nothing to 2 at once: differs
    the up leaves another structure than the ups one by one left:
      t.late: missing
    "#);
}

#[tokio::test]
async fn what_is_cut_into_several_transactions_is_sound_at_once() {
    let set = Written::new(&[
        (
            "moods",
            "create type mood as enum ('well'); create table t (id int primary key, mood mood);",
            Some("drop table t; drop type mood;"),
        ),
        ("add", "alter type mood add value 'unwell';", None),
        (
            "use",
            "alter table t alter mood set default 'unwell';",
            Some("alter table t alter mood drop default;"),
        ),
        (
            "index",
            "-- tenantry: no-transaction\ncreate index concurrently t_mood on t (mood);",
            Some("-- tenantry: no-transaction\ndrop index concurrently t_mood;"),
        ),
        (
            "parts",
            "create table parts (t int references t deferrable initially deferred);",
            Some("drop table parts;"),
        ),
        (
            "dated",
            "alter table parts add at date;",
            Some("alter table parts drop column at;"),
        ),
        (
            "filled",
            "insert into parts select id from t where id < 0;",
            Some("delete from parts where t < 0;"),
        ),
    ]);
    let report = set.verify().await;
    let told = words(report.proofs());
    assert!(report.is_ok(), "{told}");
    let names: Vec<_> = report.paths.iter().map(|path| path.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "from nothing to 2 at once",
            "from 2 to 4 at once",
            "from 4 to 6 at once",
            "from nothing to 4 at once",
            "from 4 to 7 at once",
            "from nothing to 7 at once",
        ]
    );
}

#[tokio::test]
async fn repeatables_must_bear_to_be_applied_once_more() {
    let set = Written::new(&[(
        "t",
        "create table t (id int);",
        Some("drop table t cascade;"),
    )]);
    set.write(
        "tenant/functions/log.sql",
        "create function log() returns int language sql as 'select 1';",
    );
    let report = set.verify().await;
    let whole = words(&report.whole).replace(&set.path().display().to_string(), "");
    insta::assert_snapshot!(whole, @r#"
    the whole set: fails
    the repeatables once more fail:
      /tenant/functions/log.sql:1:1: function "log" already exists with same argument types (SQLSTATE 42723)
    the second up fails:
      /tenant/functions/log.sql:1:1: function "log" already exists with same argument types (SQLSTATE 42723)
    "#);
}

#[tokio::test]
async fn the_same_is_found_and_told_in_the_same_order_whatever_is_done_at_once() {
    let mut migrations = Vec::new();
    let texts: Vec<_> = (0..18)
        .map(|number| {
            let down = match number {
                5 => "select 1;".to_owned(),
                11 => format!("drop table t{number}; create table left_over ();"),
                _ => format!("drop table t{number};"),
            };
            (
                format!("create table t{number} (id int primary key);"),
                down,
            )
        })
        .collect();
    for (up, down) in &texts {
        migrations.push(("t", up.as_str(), Some(down.as_str())));
    }
    let set = Written::new(&migrations);
    let settings = set.settings();
    let mut results = Vec::new();
    for jobs in [1, 4] {
        let told = Mutex::new(Vec::new());
        let observe = |_, proof: &tenantry::verify::Proof| {
            told.lock().unwrap().push(proof.name.clone());
        };
        let request = Request {
            jobs,
            observe: &observe,
            ..Request::new(&settings)
        };
        let report = set.report(request).await;
        let json = serde_json::to_value(&report).unwrap();
        let names = told.into_inner().unwrap();
        let in_order: Vec<_> = report.scopes[0].proofs().map(|p| p.name.clone()).collect();
        assert_eq!(names, in_order);
        results.push((json, words(report.scopes[0].proofs())));
    }
    assert_eq!(results[0], results[1]);
    let failing: Vec<_> = results[0]
        .1
        .lines()
        .filter(|l| l.ends_with(": fails"))
        .collect();
    assert_eq!(failing.len(), 2, "{}", results[0].1);
}
