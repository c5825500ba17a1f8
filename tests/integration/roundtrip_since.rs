//! What is new is judged, what is old is taken for granted.

use std::process::Command;

use tenantry::verify::{Request, Since};

use crate::{
    roundtrip::words,
    support::{Written, server},
};

const FAULTY: &str = "select 1;";

/// Three migrations with faulty ways back.
fn faulty() -> Written {
    Written::new(&[
        ("a", "create table a ();", Some(FAULTY)),
        ("b", "create table b ();", Some(FAULTY)),
        ("c", "create table c ();", Some("drop table c;")),
    ])
}

async fn judged(set: &Written, since: &str) -> String {
    let settings = set.settings();
    let directories = [set.path().join("shared"), set.path().join("tenant")];
    let since = Since::read(since, &directories).await.unwrap();
    let request = Request {
        since: Some(&since),
        ..Request::new(&settings)
    };
    let report = set.report(request).await;
    let scope = &report.scopes[0];
    let root = set.path().canonicalize().unwrap().display().to_string();
    let deleted = scope.deleted.join(" ").replace(&root, "");
    let deleted = if deleted.is_empty() { "none" } else { &deleted };
    let mut told = words(scope.proofs());
    for finding in scope.proofs().flat_map(|proof| &proof.older) {
        told += &format!("older: {finding}\n");
    }
    let told = told.replace(&set.path().display().to_string(), "");
    format!(
        "{} taken for granted; deleted: {deleted}\n{told}",
        scope.taken_for_granted
    )
}

fn git(set: &Written, arguments: &[&str]) {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(set.path())
        .args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn only_what_is_above_a_version_is_judged() {
    insta::assert_snapshot!(judged(&faulty(), "1").await, @r#"
    1 taken for granted; deleted: none
    b: fails
    the down leaves another structure than the first up found:
      table b: added
    the second up fails:
      /tenant/2-b.up.sql:1:1: relation "b" already exists (SQLSTATE 42P07)
    c: exact
    from 1 to 3 at once: exact
    the whole set: fails
    the down leaves another structure than the first up found:
      table b: added
    the second up fails:
      /tenant/2-b.up.sql:1:1: relation "b" already exists (SQLSTATE 42P07)
    a second tenant: exact
    "#);
    insta::assert_snapshot!(judged(&faulty(), "2").await, @r#"
    2 taken for granted; deleted: none
    c: exact
    the whole set: exact
    a second tenant: exact
    "#);
    insta::assert_snapshot!(judged(&faulty(), "3").await, @"3 taken for granted; deleted: none");
}

#[tokio::test]
async fn what_differs_from_a_revision_is_judged() {
    let set = faulty();
    git(&set, &["init", "--quiet", "--initial-branch", "main"]);
    git(&set, &["add", "."]);
    git(&set, &["commit", "--quiet", "--message", "a"]);
    insta::assert_snapshot!(judged(&set, "main").await, @"3 taken for granted; deleted: none");
    // New and not committed, an old one changed, one deleted; and the branch it is compared with has gone on.
    git(&set, &["branch", "feature"]);
    set.write("tenant/4-elsewhere.up.sql", "create table elsewhere ();");
    set.write("tenant/4-elsewhere.down.sql", "drop table elsewhere;");
    git(&set, &["add", "."]);
    git(&set, &["commit", "--quiet", "--message", "b"]);
    git(&set, &["checkout", "--quiet", "feature"]);
    set.write("tenant/2-b.down.sql", "drop table b;");
    set.write("tenant/5-d.up.sql", "create table d ();");
    set.write("tenant/5-d.down.sql", "drop table d;");
    std::fs::remove_file(set.path().join("tenant/1-a.up.sql")).unwrap();
    std::fs::remove_file(set.path().join("tenant/1-a.down.sql")).unwrap();
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    1 taken for granted; deleted: /tenant/1-a.down.sql /tenant/1-a.up.sql
    b: exact
    d: exact
    from nothing to 3 at once: exact
    from nothing to 5 at once: exact
    the whole set: exact
    a second tenant: exact
    "#);
}

#[tokio::test]
async fn what_is_not_judged_is_not_blamed_on_what_is() {
    let set = Written::new(&[
        ("a", "create table a (i int);", Some("drop table a;")),
        ("b", "create table b (i int);", Some("drop table b;")),
        ("faulty", "create index bi on a (i);", Some(FAULTY)),
        ("c", "create table c (i int);", Some("drop table c;")),
    ]);
    git(&set, &["init", "--quiet", "--initial-branch", "main"]);
    git(&set, &["add", "."]);
    git(&set, &["commit", "--quiet", "--message", "a"]);
    set.write(
        "tenant/2-b.up.sql",
        "-- The second.\ncreate table b (i int);",
    );
    set.write("tenant/5-d.up.sql", "create table d (i int);");
    set.write("tenant/5-d.down.sql", "drop table d;");
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    3 taken for granted; deleted: none
    b: exact
    d: exact
    from 1 to 3 at once: exact
    from 3 to 5 at once: exact
    from 1 to 5 at once: exact
    the whole set: exact
    a second tenant: exact
    "#);
    let directories = [set.path().join("tenant")];
    let since = Since::read("main", &directories).await.unwrap();
    let settings = set.settings();
    let request = Request {
        since: Some(&since),
        ..Request::new(&settings)
    };
    let report = set.report(request).await;
    let scope = &report.scopes[0];
    assert_eq!((report.is_ok(), scope.taken_for_granted), (true, 3));
    let older: Vec<_> = scope.older_faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        (older, scope.back_to),
        (vec!["3".to_owned()], scope.older_faults.first().copied())
    );
}

/// A migration that makes a table in the first tenant alone, as it asks for the table in all schemas.
const ONCE: &str = "do $$ begin if not exists (select from pg_tables where tablename = 'b') then create table b (id int); \
                    end if; end $$;";

/// A set in a repository, with nothing new.
fn committed(migrations: &[(&str, &str, Option<&str>)], files: &[(&str, &str)]) -> Written {
    let set = Written::new(migrations);
    for (file, text) in files {
        set.write(file, text);
    }
    git(&set, &["init", "--quiet", "--initial-branch", "main"]);
    git(&set, &["add", "."]);
    git(&set, &["commit", "--quiet", "--message", "a"]);
    set
}

#[tokio::test]
async fn what_a_second_tenant_lacked_before_is_told_and_fails_nothing() {
    let set = committed(
        &[
            ("a", "create table a (i int);", Some("drop table a;")),
            ("b", ONCE, Some("drop table b;")),
        ],
        &[],
    );
    set.write("tenant/3-d.up.sql", "create table d (i int);");
    set.write("tenant/3-d.down.sql", "drop table d;");
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    2 taken for granted; deleted: none
    d: exact
    the whole set: exact
    a second tenant: not judged
    older: the up of a second tenant leaves another structure than the first up left:
      table b: missing
    "#);
    insta::assert_snapshot!(judged(&set, "2").await, @r#"
    2 taken for granted; deleted: none
    d: exact
    the whole set: exact
    a second tenant: not judged
    older: the up of a second tenant leaves another structure than the first up left:
      table b: missing
    "#);
    let mut command = crate::support::tenantry();
    command
        .args([
            "verify",
            "--since",
            "main",
            "--server",
            server().await.url(),
        ])
        .current_dir(set.path())
        .envs(set.environment());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let told = "– a second tenant: not judged\n      an older fault, not judged: the up of a second tenant leaves another \
                structure than the first up left:\n        table b: missing\n";
    assert!(text.contains(told), "{text}");
    // What is new is judged all the same.
    set.write(
        "tenant/3-d.up.sql",
        &ONCE.replace("'b'", "'d'").replace(" b ", " d "),
    );
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    2 taken for granted; deleted: none
    d: exact
    the whole set: exact
    a second tenant: differs
    the up of a second tenant leaves another structure than the first up left:
      table d: missing
    older: the up of a second tenant leaves another structure than the first up left:
      table b: missing
    "#);
    // Where an old one is changed, nobody knows what was wrong before.
    set.write("tenant/2-b.up.sql", &format!("-- The second.\n{ONCE}"));
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    1 taken for granted; deleted: none
    b: exact
    d: exact
    from 1 to 3 at once: exact
    the whole set: exact
    a second tenant: differs
    the up of a second tenant leaves another structure than the first up left:
      table b: missing
      table d: missing
    "#);
}

#[tokio::test]
async fn a_repeatable_that_failed_before_is_told_and_fails_nothing() {
    let set = committed(
        &[("a", "create table a (i int);", Some("drop table a;"))],
        &[(
            "tenant/functions/f.sql",
            "create or replace view f as select missing from a;",
        )],
    );
    set.write("tenant/2-d.up.sql", "create table d (i int);");
    set.write("tenant/2-d.down.sql", "drop table d;");
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    1 taken for granted; deleted: none
    d: exact
    the whole set: not judged
    older: the repeatables fail:
      /tenant/functions/f.sql:1:36: column "missing" does not exist (SQLSTATE 42703)
    "#);
    // One that is new is judged.
    set.write(
        "tenant/functions/e.sql",
        "create or replace view e as select lacking from a;",
    );
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    1 taken for granted; deleted: none
    d: exact
    the whole set: fails
    the repeatables fail:
      /tenant/functions/e.sql:1:36: column "lacking" does not exist (SQLSTATE 42703)
    "#);
}

#[tokio::test]
async fn a_repeatable_that_something_new_breaks_is_judged() {
    let set = committed(
        &[("a", "create table a (i int);", Some("drop table a;"))],
        &[(
            "tenant/functions/f.sql",
            "drop view if exists f; create view f as select i from a;",
        )],
    );
    set.write("tenant/2-d.up.sql", "alter table a rename i to j;");
    set.write("tenant/2-d.down.sql", "alter table a rename j to i;");
    insta::assert_snapshot!(judged(&set, "main").await, @r#"
    1 taken for granted; deleted: none
    d: exact
    the whole set: fails
    the repeatables fail:
      /tenant/functions/f.sql:1:48: column "i" does not exist (SQLSTATE 42703)
    "#);
}

#[tokio::test]
async fn a_revision_that_nobody_knows_is_told_with_what_to_do() {
    let set = faulty();
    let read = async |since: &str| {
        let directories = [set.path().join("tenant")];
        let error = Since::read(since, &directories).await.unwrap_err();
        error
            .to_string()
            .replace(&set.path().display().to_string(), "")
    };
    insta::assert_snapshot!(read("main").await, @r#"/tenant is in no git repository, so nobody can say what is new in it since "main"; name a version instead"#);
    git(&set, &["init", "--quiet", "--initial-branch", "main"]);
    git(&set, &["add", "."]);
    git(&set, &["commit", "--quiet", "--message", "a"]);
    insta::assert_snapshot!(read("--output=x").await, @r#"git knows no revision "--output=x" in /tenant; a pipeline has to fetch it first (`git fetch origin`)"#);
    git(&set, &["checkout", "--quiet", "--orphan", "other"]);
    git(&set, &["commit", "--quiet", "--message", "b"]);
    insta::assert_snapshot!(read("main").await, @r#""main" has no commit in common with what is checked out; where a pipeline fetches only the last commits, it has to fetch all (`fetch-depth: 0`, `GIT_DEPTH: 0`)"#);
    // The command says so before it starts a server, and ends as with any other mistake in what was typed.
    let mut command = crate::support::tenantry();
    command
        .args([
            "verify",
            "--since",
            "nowhere",
            "--server",
            server().await.url(),
        ])
        .envs(set.environment());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
