//! What a script, or somebody beside it, may do to get out of its schema and its transaction: each is refused or rolled
//! back with words of its own, and the next tenant finds everything as it should be.

use sqlx::AssertSqlSafe;
use tenantry::{migration::Version, postgres::Fault};

use crate::{
    protocol::{carrier, carry, failure, opaque},
    support::{Small, small, until},
};

/// Somewhere for a script to wait in, until the row is gone.
const PAUSE: &str = "create table public.hold as select 1 as one;
    create function public.pause() returns void language plpgsql as $$
    begin
        while exists (select from public.hold) loop perform pg_sleep(0.02); end loop;
    end $$";

/// `acme` and `bolt`, with nothing applied.
async fn two() -> Small {
    let small = small(0).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    small
}

/// Carries the text to `acme`, which must fail so and leave nothing; then something else to `bolt`, on the same session.
async fn is_rolled_back(small: &Small, text: &str, code: &str, words: &str) {
    let before = small.pinned("acme").await;
    let mut carrier = carrier(small);
    let refused = carry(small, &mut carrier, &opaque(&[text]), &before.head).await;
    let failure = refused
        .failure
        .unwrap_or_else(|| panic!("not refused: {text}"));
    let error = &failure.error;
    assert_eq!(error.code, code, "{text}: {failure:?}");
    assert!(error.message.contains(words), "{text}: {failure:?}");
    assert_eq!(failure.place.unwrap().version, Some(Version::new(1)));
    assert_eq!(small.pinned("acme").await, before, "{text}");
    for schema in ["acme", "public"] {
        assert_eq!(made(small, schema).await, [""; 0], "{text}: {schema}");
    }
    let head = small.pinned("bolt").await.head;
    let next =
        "do $$ begin assert current_schema() = 'bolt'; assert current_user = session_user; end $$";
    let next = carry(small, &mut carrier, &opaque(&[next]), &head).await;
    assert_eq!((next.migrations, next.failure), (1, None), "{text}");
}

/// Tables in a schema, without what a test has put there.
async fn made(small: &Small, schema: &str) -> Vec<String> {
    let mut tables = small.tables(schema).await;
    tables.retain(|table| table != "hold");
    tables
}

#[tokio::test]
async fn a_commit_that_no_reader_of_the_text_sees_is_refused_by_the_server() {
    let small = two().await;
    small
        .run(
            "create procedure public.ends() language plpgsql as $$ begin commit; end $$;
             create function public.ends_too() returns void language plpgsql as $$ begin rollback; end $$",
        )
        .await;
    for (text, code, words) in [
        (
            "do $$ begin commit; end $$",
            "2D000",
            "invalid transaction termination",
        ),
        (
            "do $$ begin execute 'com' || 'mit'; end $$",
            "0A000",
            "EXECUTE of transaction commands is not implemented",
        ),
        (
            "call public.ends()",
            "2D000",
            "invalid transaction termination",
        ),
        (
            "do $$ begin call public.ends(); end $$",
            "2D000",
            "invalid transaction termination",
        ),
        (
            "select public.ends_too()",
            "2D000",
            "invalid transaction termination",
        ),
    ] {
        let text = format!("create table a (); {text}; create table b ()");
        is_rolled_back(&small, &text, code, words).await;
    }
}

#[tokio::test]
async fn a_script_that_rolls_back_our_transaction_is_not_taken_for_done() {
    for text in [
        "create table a (); rollback and chain; create table acme.b ()",
        "create table a (); rollback; begin; create table acme.b (); commit",
        "create table a (); savepoint s; rollback; begin; create table acme.b (); savepoint s",
    ] {
        let small = two().await;
        let failure = failure(&small, text).await;
        assert_eq!(failure.fault, Fault::Escaped, "{text}: {failure:?}");
        assert_eq!(
            failure.error.message,
            "the script ended the transaction that it ran in"
        );
        assert!(small.log("acme").await.is_empty(), "{text}");
        let head = small.pinned("bolt").await.head;
        let next = carry(
            &small,
            &mut carrier(&small),
            &opaque(&["create table c ()"]),
            &head,
        )
        .await;
        assert_eq!((next.migrations, next.failure), (1, None));
    }
}

#[tokio::test]
async fn a_script_that_only_rolls_back_its_own_savepoint_is_carried() {
    let small = two().await;
    let head = small.pinned("acme").await.head;
    let text = "create table a (); savepoint s; create table b (); rollback to s; release s";
    let carried = carry(&small, &mut carrier(&small), &opaque(&[text]), &head).await;
    assert_eq!((carried.migrations, carried.failure), (1, None));
    assert_eq!(small.tables("acme").await, ["a"]);
}

#[tokio::test]
async fn a_script_cannot_stay_somebody_else() {
    let small = two().await;
    small
        .run("do $$ begin create role nobody_much; exception when duplicate_object then null; end $$;
              grant all on schema acme to nobody_much")
        .await;
    let denied = "permission denied for schema tenantry";
    for text in [
        "select set_config('role', 'nobody_much', false)",
        "select set_config('role', 'nobody_much', true)",
        "do $$ begin set role nobody_much; end $$",
        "do $$ begin set session authorization nobody_much; end $$",
    ] {
        let text = format!("create table a (); {text}");
        is_rolled_back(&small, &text, "42501", denied).await;
    }
}

/// Waits until a script is in `public.pause`.
async fn script_waits(small: &Small) {
    let mut connection = small.connect().await;
    until("the script waits", async || {
        sqlx::query_scalar(
            "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap()
    })
    .await;
}

/// Carries a text that waits in the middle; meanwhile another session does something to the schema.
async fn meanwhile(small: &Small, text: &str, other: &str) -> Result<(), (String, String)> {
    let head = small.pinned("acme").await.head;
    let (mut carrier, plan) = (carrier(small), opaque(&[text]));
    let interferes = async {
        script_waits(small).await;
        let mut connection = small.connect().await;
        sqlx::raw_sql(AssertSqlSafe(other.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::raw_sql("delete from public.hold")
            .execute(&mut connection)
            .await
            .unwrap();
    };
    let (carried, ()) = tokio::join!(carry(small, &mut carrier, &plan, &head), interferes);
    let result = match carried.failure {
        None => Ok(()),
        Some(failure) => Err((failure.error.code, failure.error.message)),
    };
    // Whatever became of it, the next tenant is as good as any.
    let head = small.pinned("bolt").await.head;
    let next = carry(small, &mut carrier, &opaque(&["create table c ()"]), &head).await;
    assert_eq!(
        (next.migrations, next.failure),
        (1, None),
        "{text}; {other}"
    );
    assert_eq!(made(small, "public").await, [""; 0], "{text}; {other}");
    result
}

#[tokio::test]
async fn a_schema_that_is_taken_away_in_mid_message_takes_nothing_with_it() {
    let (rename, drop) = ("alter schema acme rename to other", "drop schema acme");
    for (text, other) in [
        ("select public.pause(); create table b ()", rename),
        ("create table a (); select public.pause()", rename),
        (
            "create table a (); select public.pause(); create table b ()",
            rename,
        ),
        ("select public.pause(); create table b ()", drop),
        ("select public.pause(); select 1", drop),
        (
            "select public.pause(); create table b ()",
            "drop schema acme; create schema acme",
        ),
        (
            "create table a (); select public.pause(); create table b ()",
            "alter schema acme rename to other; create schema acme",
        ),
    ] {
        let small = two().await;
        small.run(PAUSE).await;
        let (found, message) = meanwhile(&small, text, other).await.unwrap_err();
        assert_eq!(found, "TN003", "{text}; {other}");
        assert_eq!(
            message,
            "the schema was dropped, renamed or made anew while the script ran"
        );
        for schema in ["acme", "other"] {
            assert_eq!(small.tables(schema).await, [""; 0], "{text}; {other}");
        }
        assert!(small.log("acme").await.is_empty());
    }
}

#[tokio::test]
async fn a_schema_that_is_dropped_under_a_script_is_gone_with_all_that_it_did_or_stays_with_all_of_it()
 {
    let small = two().await;
    small.run(PAUSE).await;
    small.run("create table acme.t ()").await;
    let head = small.pinned("acme").await.head;
    let (mut carrier, mut dropping) = (carrier(&small), small.connect().await);
    let plan = opaque(&["alter table t add x int; select public.pause(); create table b ()"]);
    // It waits for the script's lock on the table and holds one on the schema, which the script waits for then: one of
    // both has to give in.
    let drops = async {
        script_waits(&small).await;
        sqlx::raw_sql("drop schema acme cascade")
            .execute(&mut dropping)
            .await
    };
    let releases = async {
        let mut connection = small.connect().await;
        until("the other waits for the script", async || {
            sqlx::query_scalar("select exists (select from pg_locks where not granted and relation = 'acme.t'::regclass)")
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
        .await;
        small.run("delete from public.hold").await;
    };
    let (carried, dropped, ()) =
        tokio::join!(carry(&small, &mut carrier, &plan, &head), drops, releases);
    match (carried.failure, dropped) {
        (None, Err(_)) => assert_eq!(small.tables("acme").await, ["b", "t"]),
        (None, Ok(_)) => assert_eq!(small.tables("acme").await, [""; 0]),
        (Some(failure), dropped) => {
            assert!(dropped.is_ok(), "{failure:?} {dropped:?}");
            assert_eq!(failure.fault, Fault::Gone, "{failure:?}");
            assert!(small.log("acme").await.is_empty());
        }
    }
    assert_eq!(made(&small, "public").await, [""; 0]);
    let head = small.pinned("bolt").await.head;
    let next = carry(&small, &mut carrier, &opaque(&["create table c ()"]), &head).await;
    assert_eq!((next.migrations, next.failure), (1, None));
}

#[tokio::test]
async fn a_script_that_unlocks_everything_keeps_the_lock_on_its_schema() {
    let small = two().await;
    small.run(PAUSE).await;
    let head = small.pinned("acme").await.head;
    let oid = head.schema_oid;
    let text = format!(
        "select pg_advisory_unlock_all(), pg_advisory_unlock((1953395321::bigint << 32) | {oid}); select public.pause()"
    );
    let free = format!(
        "do $$ begin
             assert not pg_try_advisory_xact_lock((1953395321::bigint << 32) | {oid}), 'the schema is free';
         end $$"
    );
    assert_eq!(meanwhile(&small, &text, &free).await, Ok(()));
}

#[tokio::test]
async fn what_a_script_prepares_is_forgotten_and_what_the_driver_prepares_is_not() {
    let small = two().await;
    let mut carrier = carrier(&small);
    let count = "select count(*) from pg_prepared_statements where not from_sql";
    let session = carrier.session().await.unwrap().connection();
    let before: i64 = sqlx::query_scalar(count).fetch_one(session).await.unwrap();
    let prepares = "do $$ begin execute 'prepare \"p 1\" as select 1'; execute 'prepare p2 as select 2'; end $$";
    let fails = format!("{prepares}; select 1 / 0");
    for (tenant, text, done) in [
        ("acme", prepares, 1),
        ("bolt", prepares, 1),
        ("acme", &*fails, 0),
        ("bolt", prepares, 1),
    ] {
        let head = small.pinned(tenant).await.head;
        let carried = carry(&small, &mut carrier, &opaque(&[text]), &head).await;
        assert_eq!(carried.migrations, done, "{carried:#?}");
    }
    let session = carrier.session().await.unwrap().connection();
    let after: i64 = sqlx::query_scalar(count).fetch_one(session).await.unwrap();
    assert!(before > 0 && after == before, "{before} {after}");
}

#[tokio::test]
async fn what_a_function_sets_or_starts_for_its_session_ends_with_its_message() {
    let small = two().await;
    small
        .run(
            "create function public.sets() returns void language plpgsql as $$
             begin
                 set work_mem = '123kB'; set lock_timeout = '7s'; set session_replication_role = replica;
                 set search_path = acme, public;
                 execute 'listen everything';
                 perform pg_advisory_lock(42);
                 create temp table left_over ();
             end $$",
        )
        .await;
    let looks = "do $$ begin
        assert current_setting('work_mem') <> '123kB', 'work_mem';
        assert current_setting('lock_timeout') <> '7s', 'lock_timeout';
        assert current_setting('session_replication_role') = 'origin', 'role';
        assert current_setting('search_path') = 'bolt, pg_temp', 'path';
        assert not exists (select from pg_listening_channels()), 'channel';
        assert to_regclass('pg_temp.left_over') is null, 'table';
        assert not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and objid = 42), 'lock';
    end $$";
    let mut carrier = carrier(&small);
    for (tenant, text, done) in [
        ("acme", "select public.sets()", 1),
        ("bolt", looks, 1),
        ("acme", "select public.sets(); select 1 / 0", 0),
        ("bolt", looks, 1),
    ] {
        let head = small.pinned(tenant).await.head;
        let carried = carry(&small, &mut carrier, &opaque(&[text]), &head).await;
        assert_eq!(carried.migrations, done, "{carried:#?}");
    }
}

#[tokio::test]
async fn a_temporary_table_hides_no_table_of_the_tenant() {
    let small = two().await;
    let head = small.pinned("acme").await.head;
    let plan = opaque(&[
        "create table a (of_the_tenant int)",
        "create temp table a (temporary int); insert into a values (1); alter table a add more int",
    ]);
    let carried = carry(&small, &mut carrier(&small), &plan, &head).await;
    assert_eq!((carried.migrations, carried.failure), (2, None));
    let rows: i64 =
        sqlx::query_scalar("select count(of_the_tenant) from acme.a where more is null")
            .fetch_one(&mut small.connect().await)
            .await
            .unwrap();
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_script_that_changes_another_tenant_is_rolled_back_and_names_what_it_changed() {
    let small = two().await;
    small
        .run(
            "create table bolt.t (x int); insert into bolt.t values (1);
             create function public.reaches() returns void language sql as 'delete from bolt.t'",
        )
        .await;
    for text in [
        "alter table bolt.t add y int",
        "update bolt.t set x = 2",
        "delete from bolt.t",
        "truncate bolt.t",
        "create index on bolt.t (x)",
        "alter table bolt.t set schema acme; alter table acme.t set schema bolt",
        "select public.reaches()",
        "do $$ begin execute 'lock table bolt.t in exclusive mode'; end $$",
        "select set_config('search_path', 'bolt', true); alter table t add y int; select set_config('search_path', 'acme, pg_temp', true)",
        "savepoint s; update bolt.t set x = 2; rollback to s; update bolt.t set x = 3",
    ] {
        let text = format!("create table a (); {text}");
        is_rolled_back(&small, &text, "TN007", "bolt.t").await;
    }
    let created = "create table a (); create table bolt.b ()";
    is_rolled_back(&small, created, "TN007", "bolt.b").await;
    let dropped = "create table a (); drop table bolt.t";
    is_rolled_back(&small, dropped, "TN007", "relations that are gone now").await;
    let rows: Vec<i32> = sqlx::query_scalar("select x from bolt.t")
        .fetch_all(&mut small.connect().await)
        .await
        .unwrap();
    assert_eq!(rows, [1]);
}
