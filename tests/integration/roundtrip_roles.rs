//! Roles are the whole server's: sets that make some are verified all the same, and none of them stays.

use sqlx::{Connection as _, PgConnection};
use tenantry::{
    migration::Scope,
    verify::{Report, Request, Verdict, verify},
};

use crate::{
    roundtrip::words,
    support::{Written, server, until},
};

/// A shared set that makes a role, and a tenants' set that grants to it.
fn granting(role: &str) -> Written {
    let set = Written::new(&[
        (
            "orders",
            &format!("create table orders (id int); grant select on orders to {role};"),
            Some("drop table orders;"),
        ),
        (
            "lines",
            "create table lines (id int);",
            Some("drop table lines;"),
        ),
    ]);
    set.write(
        "shared/1-r.up.sql",
        &format!("create role {role}; create table s (i int); grant select on s to {role};"),
    );
    set.write(
        "shared/1-r.down.sql",
        &format!("drop table s; drop role {role};"),
    );
    set
}

/// A name that no other test has.
fn role(name: &str) -> String {
    format!("verify_{name}_{}", std::process::id())
}

async fn is_there(role: &str) -> bool {
    let mut connection = PgConnection::connect(server().await.url()).await.unwrap();
    sqlx::query_scalar("select exists (select from pg_catalog.pg_roles where rolname = $1)")
        .bind(role)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

async fn both(set: &Written) -> Report {
    let settings = set.settings();
    let request = Request {
        scopes: &[Scope::Shared, Scope::Tenant],
        ..Request::new(&settings)
    };
    verify(server().await, &request).await.unwrap()
}

#[tokio::test]
async fn a_shared_set_that_makes_a_role_is_verified_together_with_the_tenants() {
    let role = role("granted");
    let set = granting(&role);
    for _ in 0..2 {
        let report = both(&set).await;
        let told = report.scopes.iter().flat_map(|scope| scope.proofs());
        assert!(report.is_ok(), "{}\n{report:#?}", words(told));
        let why = report.scopes[1].paths_left_out.as_deref().unwrap();
        assert!(why.contains("1-r.up.sql makes or changes roles"), "{why}");
        assert!(!is_there(&role).await);
    }
}

#[tokio::test]
async fn on_a_server_of_others_no_role_stays_and_none_that_was_there_goes() {
    let (ours, theirs) = (role("url"), role("url_theirs"));
    let set = granting(&ours);
    let prepare = set.path().join("prepare.sql");
    let words = format!(
        "do $$ begin if not exists (select from pg_roles where rolname = '{theirs}') then create role {theirs}; end if; end $$;"
    );
    std::fs::write(&prepare, words).unwrap();
    let mut connection = PgConnection::connect(server().await.url()).await.unwrap();
    let made = format!("create role {theirs}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(made))
        .execute(&mut connection)
        .await
        .unwrap();
    for arguments in [
        &["verify"][..],
        &["verify"],
        &["dump", "--scope", "tenant"],
        &["dump", "--scope", "shared"],
    ] {
        let mut command = crate::support::tenantry();
        command
            .args(arguments)
            .args(["--server", server().await.url(), "--prepare"])
            .arg(&prepare)
            .current_dir(set.path())
            .envs(set.environment());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {output:?}");
        assert!(!is_there(&ours).await, "{arguments:?}");
        assert!(is_there(&theirs).await, "{arguments:?}");
    }
    let dropped = format!("drop role {theirs}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(dropped))
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_that_a_way_back_leaves_is_told_and_not_in_the_way_of_the_next_migration() {
    let role = role("left");
    let set = Written::new(&[]);
    set.write("shared/1-role.up.sql", &format!("create role {role};"));
    set.write("shared/1-role.down.sql", "select 1;");
    set.write("shared/2-plans.up.sql", "create table plans (id int);");
    set.write("shared/2-plans.down.sql", "drop table plans;");
    let report = both(&set).await;
    let verdicts: Vec<_> = report.scopes[0].proofs().map(|p| p.verdict).collect();
    // The whole set meets it once more.
    let expected = [Verdict::Fails, Verdict::Exact, Verdict::Fails];
    assert_eq!(verdicts, expected, "{}", words(report.scopes[0].proofs()));
    assert!(report.scopes[1].is_ok(), "{:?}", report.scopes[1]);
    assert!(!is_there(&role).await);
}

#[tokio::test]
async fn a_role_that_is_made_for_good_is_tried_with_rows_too() {
    let role = role("for_good");
    let set = Written::new(&[]);
    set.write("shared/1-t.up.sql", "create table t (id int primary key);");
    set.write("shared/1-t.down.sql", "drop table t;");
    let text =
        format!("-- tenantry: irreversible\ncreate role {role}; grant select on t to {role};");
    set.write("shared/2-role.up.sql", &text);
    let report = both(&set).await;
    let shared = &report.scopes[0];
    assert!(report.is_ok(), "{}", words(shared.proofs()));
    let verdicts: Vec<_> = shared.migrations.iter().map(|p| p.verdict).collect();
    assert_eq!(verdicts, [Verdict::Exact, Verdict::Irreversible]);
    assert!(!is_there(&role).await);
}

#[tokio::test]
async fn a_comment_or_a_value_about_users_switches_no_path_off() {
    let set = Written::new(&[
        (
            "users",
            "-- create user table\ncreate table users (id int);",
            Some("drop table users;"),
        ),
        (
            "teams",
            "create table teams (id int, note text default 'create user bob');",
            Some("drop table teams;"),
        ),
    ]);
    let report = set.verify().await;
    assert_eq!((report.paths.len(), &report.paths_left_out), (1, &None));
    // Where they are switched off, the command says why.
    let set = granting(&role("said"));
    let mut command = crate::support::tenantry();
    command
        .args(["verify", "--server", server().await.url()])
        .envs(set.environment());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace(&set.path().display().to_string(), "");
    let said = "; paths of several at once not tried: /shared/1-r.up.sql makes or changes roles, which belong to the whole server";
    assert!(text.contains(said), "{text}");
}

#[tokio::test]
async fn a_killed_process_leaves_no_role() {
    let role = role("killed");
    let set = Written::new(&[]);
    set.write("shared/1-role.up.sql", &format!("create role {role};"));
    set.write("shared/1-role.down.sql", &format!("drop role {role};"));
    set.write("shared/2-waits.up.sql", "select pg_sleep(3600);");
    set.write("shared/2-waits.down.sql", "select 1;");
    let mut child = crate::support::tenantry()
        .args(["verify", "--server", server().await.url()])
        .envs(set.environment())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the role is there", async || is_there(&role).await).await;
    child.kill().unwrap();
    child.wait().unwrap();
    until("the role is gone", async || !is_there(&role).await).await;
}
