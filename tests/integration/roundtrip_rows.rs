//! Rows in the tables: what fails only where there are some is found, and what is lost is told.

use tenantry::verify::{Request, Verdict};

use crate::{
    roundtrip::words,
    support::{Written, server},
};

const USERS: (&str, &str, Option<&str>) = (
    "users",
    "create table users (id bigint generated always as identity primary key, name text not null);",
    Some("drop table users;"),
);

#[tokio::test]
async fn what_fails_only_where_tables_have_rows_is_found() {
    let set = Written::new(&[
        USERS,
        (
            "nickname",
            "alter table users add nickname text not null;",
            Some("alter table users drop column nickname;"),
        ),
        (
            "three-too-many",
            "alter table users add note text;",
            Some("alter table users drop column note; select 1 / (3 - count(*)) from users;"),
        ),
        ("one-way", "alter table users add born date not null;", None),
    ]);
    let report = set.verify().await;
    let found = words(&report.migrations).replace(&set.path().display().to_string(), "");
    insta::assert_snapshot!(found, @r#"
    users: exact
    nickname: fails where tables have rows
    the up fails where tables have rows:
      /tenant/2-nickname.up.sql:1:1: column "nickname" of relation "users" contains null values (SQLSTATE 23502)
    three-too-many: fails where tables have rows
    the down fails where tables have rows:
      /tenant/3-three-too-many.down.sql:1:37: division by zero (SQLSTATE 22012)
    one-way: fails where tables have rows
    the up fails where tables have rows:
      /tenant/4-one-way.up.sql:2:1: column "born" of relation "users" contains null values (SQLSTATE 23502)
    "#);
    assert!(!report.is_ok());
}

#[tokio::test]
async fn without_rows_none_of_it_is_found() {
    let set = Written::new(&[
        USERS,
        (
            "nickname",
            "alter table users add nickname text not null;",
            Some("alter table users drop column nickname;"),
        ),
    ]);
    let settings = set.settings();
    let request = Request {
        rows: 0,
        ..Request::new(&settings)
    };
    let report = set.report(request).await;
    assert!(report.is_ok(), "{}", words(report.scopes[0].proofs()));
    assert_eq!(report.scopes[0].rows, None);
}

#[tokio::test]
async fn rows_and_values_that_do_not_come_back_are_told() {
    let set = Written::new(&[
        USERS,
        (
            "no-names",
            "alter table users drop column name;",
            Some(
                "alter table users add name text not null default 'nobody'; alter table users alter name drop default;",
            ),
        ),
        (
            "orders",
            "create table orders (id int primary key, placed_by bigint references users);",
            Some("drop table orders;"),
        ),
        ("away", "delete from orders;", Some("select 1;")),
        (
            "moved",
            "create table archive as select * from orders; delete from orders;",
            Some("insert into orders select * from archive; drop table archive;"),
        ),
    ]);
    let report = set.verify().await;
    insta::assert_snapshot!(words(&report.migrations), @r#"
    users: exact
    no-names: loses rows
    the down does not bring everything back:
      values lost: users.name 3 of 3
    orders: exact
    away: loses rows
    the down does not bring everything back:
      rows lost: orders 3 → 0
    moved: exact
    "#);
    let verdicts: Vec<_> = report.migrations.iter().map(|p| p.verdict).collect();
    assert_eq!(verdicts[3], Verdict::LosesRows);
}

#[tokio::test]
async fn what_a_down_takes_along_is_told_and_no_fault() {
    let set = Written::new(&[
        USERS,
        (
            "nickname",
            "alter table users add nickname text, add shout text generated always as (upper(name)) stored;",
            Some("alter table users drop column nickname, drop column shout;"),
        ),
        (
            "renamed",
            "alter table users rename name to full_name;",
            Some("alter table users rename full_name to name;"),
        ),
    ]);
    let report = set.verify().await;
    assert!(report.is_ok(), "{}", words(report.proofs()));
    let drops: Vec<_> = report
        .migrations
        .iter()
        .map(|p| p.drops.join(" "))
        .collect();
    assert_eq!(drops, ["", "users.nickname", ""]);
}

#[tokio::test]
async fn what_a_trigger_stamps_is_not_lost() {
    let set = Written::new(&[
        (
            "stamped",
            "create table notes (id int primary key, body text, changed_at timestamptz not null default now());
             create function stamp() returns trigger language plpgsql as
                 $$ begin new.changed_at := clock_timestamp(); return new; end $$;
             create trigger stamp before update on notes for each row execute function stamp();",
            Some("drop table notes; drop function stamp();"),
        ),
        (
            "marked",
            "alter table notes add mark int; update notes set mark = 1;",
            Some("alter table notes drop column mark;"),
        ),
    ]);
    let report = set.verify().await;
    assert!(report.is_ok(), "{}", words(report.proofs()));
}

/// Everything that a column can be, foreign keys of all kinds, and checks of which some take nothing.
const KINDS: &str = "
    create domain email as text check (value ~ '^[^@]+@[^@]+$');
    create domain must as int not null;
    create domain grade as int check (value between 0 and 100);
    create domain share as numeric(3, 2) check (value >= 0 and value <= 1);
    create type mood as enum ('well', 'so-so');
    create type place as (x int, label text);
    create table kinds (
        id uuid primary key default gen_random_uuid(), n2 smallint not null, n4 int not null unique, n8 bigint not null,
        price numeric(5, 2) not null, share numeric(2, 2) not null, rough real not null, fine double precision not null,
        cash money not null, yes boolean not null, code varchar(2) not null unique, letter char(1) not null,
        pad char(5) not null, word text not null, n name not null, raw bytea not null, doc json not null,
        bin jsonb not null, day date not null, at timestamp not null, there timestamptz(3) not null, clock time not null,
        zoned timetz not null, span interval not null, host inet not null, net cidr not null, mac macaddr not null,
        flags bit(4) not null, more varbit not null, mail email not null, need must, feels mood not null,
        feelings mood[] not null, spot place not null, spots place[] not null, numbers int[] not null,
        stretch int4range not null, days daterange not null, many int4multirange not null, dot point not null,
        area polygon not null, lexemes tsvector not null, markup xml not null, docs jsonb[] not null,
        twice int generated always as (n4 * 2) stored, counter serial, own int generated by default as identity
    );
    create table groups (id int primary key, owner int);
    create table people (
        id int generated always as identity primary key, boss int references people,
        team int not null references groups, unique (id, team)
    );
    alter table groups add foreign key (owner) references people;
    create table posts (person int not null, team int not null, foreign key (person, team) references people (id, team));
    create table settings (single boolean primary key check (single), name text);
    create table stars (
        stars int not null check (stars between 1 and 5), state text not null check (state in ('open', 'closed')),
        lang text not null check (length(lang) = 3), since date not null, until date not null check (until > since)
    );
    create table either (a int, b int, check ((a is null) <> (b is null)));
    create table parts (id int, at date) partition by range (at);
    create table parts_all partition of parts default;
    create table none ();
    create table closed (id int);
    create function refuse() returns trigger language plpgsql as $$ begin raise exception 'closed'; end $$;
    create trigger refuse before insert on closed for each row execute function refuse();
    create table hollow (id int primary key, constraint hollow_never check (id is null));
    create table needs_hollow (id int not null references hollow);
    create table own (id int primary key, parent int not null references own);
    create table graded (grade grade not null, share share not null);
    create table never (id int constraint never_ever check (id < 0 and id > 0) not null);
";

#[tokio::test]
async fn tables_of_all_kinds_take_rows_and_those_that_do_not_say_why() {
    let set = Written::new(&[
        ("kinds", KINDS, None),
        ("nothing", "select 1;", Some("select 1;")),
    ]);
    let report = set.verify().await;
    assert!(report.is_ok(), "{}", words(report.proofs()));
    let rows = report.rows.unwrap();
    let told: Vec<_> = rows.not_seeded.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    closed (closed)
    hollow (check constraint hollow_never)
    needs_hollow (needs rows in hollow)
    never (check constraint never_ever)
    "#);
    assert_eq!(rows.tables, 11, "{told:?}");
}

#[tokio::test]
async fn rows_are_there_one_migration_after_the_other() {
    // Each finds the tables filled anew, also what an earlier one has emptied or failed on.
    let fails = (
        "fails",
        "alter table users add x int not null;",
        Some("alter table users drop column x;"),
    );
    let set = Written::new(&[
        USERS,
        fails,
        (
            "again",
            "alter table users add y int not null;",
            Some("alter table users drop column y;"),
        ),
    ]);
    let report = set.verify().await;
    let verdicts: Vec<_> = report.migrations.iter().map(|p| p.verdict).collect();
    let expected = [Verdict::Exact, Verdict::FailsOnRows, Verdict::FailsOnRows];
    assert_eq!(verdicts, expected, "{}", words(report.proofs()));
}

#[tokio::test]
async fn the_command_tells_of_rows_in_text_json_and_junit() {
    let set = Written::new(&[
        USERS,
        (
            "nickname",
            "alter table users add nickname text; create table shut (id int constraint never check (false));",
            Some("alter table users drop column nickname; drop table shut;"),
        ),
        (
            "no-nicknames",
            "alter table users drop column nickname;",
            Some("alter table users add nickname text;"),
        ),
        (
            "born",
            "alter table users add born date not null;",
            Some("alter table users drop column born;"),
        ),
    ]);
    let screen = async |arguments: &[&str]| {
        let mut command = crate::support::tenantry();
        command
            .args([
                "verify",
                "--scope",
                "tenant",
                "--server",
                server().await.url(),
            ])
            .args(arguments)
            .envs(set.environment());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let text = text.replace(&set.path().display().to_string(), "");
        format!("exit {}\n{text}", output.status.code().unwrap())
    };
    let junit = set.path().join("verify.xml");
    let report = format!("junit={}", junit.display());
    insta::assert_snapshot!(
        "rows_text",
        screen(&["--report", &report, "--jobs", "1"]).await
    );
    let xml = std::fs::read_to_string(&junit).unwrap();
    let xml = xml.replace(&set.path().display().to_string(), "");
    insta::assert_snapshot!("rows_junit", xml);
    insta::assert_snapshot!("rows_json", screen(&["--output", "json"]).await);
    let bare = screen(&["--no-seed", "--since", "3"]).await;
    assert!(bare.starts_with("exit 0\n"), "{bare}");
    assert!(bare.contains("; 3 older ones taken for granted"), "{bare}");
}
