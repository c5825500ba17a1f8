//! What earlier migrations wrote is there after a way back, and numbers are not given out twice; what a way up allows is told.

use tenantry::verify::Verdict;

use crate::{roundtrip::words, support::Written};

const ROLES: (&str, &str, Option<&str>) = (
    "roles",
    "create table roles (id int primary key, name text);
     insert into roles values (1, 'admin'), (2, 'user'), (3, 'guest');",
    Some("drop table roles;"),
);

#[tokio::test]
async fn rows_that_a_migration_wrote_and_a_later_one_loses_are_told() {
    let set = Written::new(&[
        ROLES,
        (
            "no-guests",
            "delete from roles where id = 3;",
            Some("select 1;"),
        ),
        (
            "one-name",
            "update roles set name = 'x';",
            Some("select 1;"),
        ),
        (
            "one-of-two",
            "update roles set name = 'root' where id = 1;",
            Some("select 1;"),
        ),
        (
            "and-back",
            "update roles set name = upper(name) where id = 1;",
            Some("update roles set name = lower(name) where id = 1;"),
        ),
        (
            "needs-them",
            "create table users (role int not null default 2 references roles);
             insert into users default values;",
            Some("drop table users;"),
        ),
    ]);
    let report = set.verify().await;
    let told = words(&report.migrations).replace(&set.path().display().to_string(), "");
    insta::assert_snapshot!(told, @r#"
    roles: exact
    no-guests: loses rows
    the down does not bring everything back:
      rows lost: roles 3 → 2
    one-name: loses rows
    the down does not bring everything back:
      values lost: roles.name 2 of 2
    one-of-two: loses rows
    the down does not bring everything back:
      values lost: roles.name 1 of 2
    and-back: exact
    needs-them: exact
    "#);
}

#[tokio::test]
async fn rows_that_are_lost_are_there_for_the_next_migration() {
    // Of two that delete the same row, each is told of it: none finds what the one before it has damaged.
    let away = |name| (name, "delete from roles where id = 3;", Some("select 1;"));
    let back = |name| {
        (
            name,
            "insert into roles values (3, 'guest') on conflict do nothing;",
            Some("select 1;"),
        )
    };
    let set = Written::new(&[ROLES, away("away"), back("back"), away("away-again")]);
    let report = set.verify().await;
    let verdicts: Vec<_> = report.migrations.iter().map(|p| p.verdict).collect();
    let (exact, loses) = (Verdict::Exact, Verdict::LosesRows);
    assert_eq!(verdicts, [exact, loses, exact, loses]);
}

#[tokio::test]
async fn numbers_that_would_be_given_out_twice_are_told() {
    let set = Written::new(&[
        (
            "invoices",
            "create table a (id int generated always as identity primary key, name text);
             create sequence invoice_no;
             create table inv (no int not null default nextval('invoice_no'));
             create table made (id serial primary key);
             insert into made select from generate_series(1, 12);",
            Some("drop table a; drop table inv; drop sequence invoice_no; drop table made;"),
        ),
        (
            "no-identity",
            "alter table a alter id drop identity;",
            Some("alter table a alter id add generated always as identity;"),
        ),
        (
            "identity-again",
            "alter table a alter id add generated always as identity;",
            Some("alter table a alter id drop identity;"),
        ),
        (
            "identity-that-goes-on",
            "alter table a alter id drop identity;",
            Some(
                "alter table a alter id add generated always as identity;
                 select setval('a_id_seq', max(id)) from a;",
            ),
        ),
        (
            "no-sequence",
            "alter table inv alter no drop default; drop sequence invoice_no;",
            Some(
                "create sequence invoice_no; alter table inv alter no set default nextval('invoice_no');",
            ),
        ),
        (
            "from-the-beginning",
            "alter sequence made_id_seq restart;",
            Some("select 1;"),
        ),
        ("empty", "truncate made;", None),
    ]);
    let report = set.verify().await;
    let told = words(&report.migrations).replace(&set.path().display().to_string(), "");
    insta::assert_snapshot!(told, @r#"
    invoices: exact
    no-identity: loses rows
    the down does not bring everything back:
      values lost: sequence a_id_seq starts at 1 again
    identity-again: exact
    identity-that-goes-on: exact
    no-sequence: loses rows
    the down does not bring everything back:
      values lost: sequence invoice_no starts at 1 again
    from-the-beginning: loses rows
    the down does not bring everything back:
      values lost: sequence made_id_seq stood at 12, starts at 1 again
    empty: irreversible
    "#);
}

#[tokio::test]
async fn a_way_back_that_fails_once_the_up_was_used_is_told_and_no_fault() {
    let set = Written::new(&[
        (
            "users",
            "create table teams (id int primary key);
             create type mood as enum ('sad', 'happy');
             create table users (
                 id int primary key, team int not null references teams, code varchar(10) not null,
                 email text constraint users_email unique, mood mood, price numeric(8, 2)
             );
             create unique index users_code on users (code);",
            Some("drop table users; drop table teams; drop type mood;"),
        ),
        (
            "no-team",
            "alter table users alter team drop not null;",
            Some("alter table users alter team set not null;"),
        ),
        (
            "wider",
            "alter table users alter code type text, alter id type bigint, alter price type numeric(10, 2);",
            Some(
                "alter table users alter code type varchar(10), alter id type int, alter price type numeric(8, 2);",
            ),
        ),
        (
            "renamed",
            "alter table users rename constraint users_email to one_email; alter index users_code rename to one_code;",
            Some(
                "alter table users rename constraint one_email to users_email; alter index one_code rename to users_code;",
            ),
        ),
        (
            "twice",
            "alter table users drop constraint one_email; drop index one_code;",
            Some(
                "alter table users add constraint one_email unique (email);
                 create unique index one_code on users (code);",
            ),
        ),
        (
            "any-team",
            "alter table users drop constraint users_team_fkey;",
            Some(
                "alter table users add constraint users_team_fkey foreign key (team) references teams (id);",
            ),
        ),
        (
            "so-so",
            "alter type mood rename to old;
             create type mood as enum ('sad', 'so-so', 'happy');
             alter table users alter mood type mood using mood::text::mood;
             drop type old;",
            Some(
                "alter type mood rename to old;
                 create type mood as enum ('sad', 'happy');
                 alter table users alter mood type mood using mood::text::mood;
                 drop type old;",
            ),
        ),
        (
            "narrower",
            "alter table users alter team set not null;",
            Some("alter table users alter team drop not null;"),
        ),
    ]);
    let report = set.verify().await;
    assert!(report.is_ok(), "{}", words(report.proofs()));
    let notes: Vec<_> = report
        .migrations
        .iter()
        .flat_map(|proof| proof.notes().map(|note| format!("{}: {note}", proof.name)))
        .collect();
    insta::assert_snapshot!(notes.join("\n"), @r#"
    no-team: down may fail once used: users.team may be NULL
    wider: down may fail once used: users.code is text, no more character varying(10)
    wider: down may fail once used: users.id is bigint, no more integer
    wider: down may fail once used: users.price is numeric(10,2), no more numeric(8,2)
    twice: down may fail once used: constraint one_email on users is gone: UNIQUE (email)
    twice: down may fail once used: unique index one_code is gone
    any-team: down may fail once used: constraint users_team_fkey on users is gone: FOREIGN KEY (team) REFERENCES teams(id)
    so-so: down may fail once used: type mood has 'so-so'
    "#);
}
