//! Migrations that are no transaction: cut off between any two steps, gone on with by anybody, nothing twice.

use std::time::Duration;

use sqlx::PgConnection;
use tenantry::{
    apply::{Audit, Carried, Carrier, Cut, Failure, compile},
    history::{Applied, Digest, Running},
    migration::{Direction, Scope, Version},
    plan::{Correction, Goal, Refusal, Standing, plan},
    postgres::Fault,
    sql::Ident,
    store::{history, scripts},
    travel::{Report, record},
};
use tokio_util::sync::CancellationToken;

use crate::support::{Shop, Small, small, snapshots, until};

const MARK: &str = "-- tenantry: no-transaction\n";

/// A fleet whose first migration makes a table `items` with these rows, and whose second one is `up` and `down`.
async fn items(rows: &str, up: &str, down: &str) -> Small {
    let small = small(0).await;
    let table = format!("create table items (id int, note text); insert into items values {rows};");
    small.write("tenant/1-items.up.sql", &table);
    small.write("tenant/1-items.down.sql", "drop table items;");
    small.write("tenant/2-alone.up.sql", &format!("{MARK}{up}"));
    small.write("tenant/2-alone.down.sql", &format!("{MARK}{down}"));
    small.reopened()
}

/// The same, with a tenant that has the table.
async fn acme(rows: &str, up: &str, down: &str) -> Small {
    let small = items(rows, up, down).await;
    small.import("acme").await;
    assert!(small.go(Goal::Up(1)).await.is_complete());
    small
}

/// Moves `acme` as a process does that gives up as soon as anything is in its way.
async fn once(small: &Small, goal: Goal) -> Carried {
    let stop = CancellationToken::new();
    stop.cancel();
    let mut connection = small.connect().await.into();
    let head = small.pinned("acme").await.head;
    let applied = history::applied(&mut connection, &head).await.unwrap();
    let stored = scripts::downs(&mut connection, &applied).await.unwrap();
    let standing = Standing {
        applied: &applied,
        repeatables: head.repeatables,
        running: head.running,
    };
    let plan = plan(&small.fleet.tenant, standing, goal, &stored, false).unwrap();
    scripts::put(&mut connection, plan.texts()).await.unwrap();
    let shard = small.fleet.shards.iter().next().unwrap();
    let mut carrier = Carrier::new(shard, &small.fleet.limits).until(stop);
    let compiled = compile(&plan, &small.fleet.limits, Cut::Coarse, Audit::All);
    carrier.carry(&plan, &compiled, &head).await
}

fn failure(report: &Report) -> Failure {
    let mut failures = report.scopes[0].failures();
    failures.next().unwrap().1.clone()
}

async fn text(small: &Small, query: &'static str) -> String {
    let mut connection = small.connect().await;
    let found: Option<String> = sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    found.unwrap_or_default()
}

/// The indexes of `acme`, and whether they are valid.
const INDEXES: &str = "select string_agg(i.indexrelid::regclass || case when i.indisvalid then '' else ' INVALID' end, ' '
           order by i.indexrelid::regclass::text)
      from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace = 'acme'::regnamespace";

/// What the log has of version 2, oldest first.
const LOG: &str = "select string_agg(state || ' ' || statements_done, ', ' order by id) from tenantry.history where version = '2'";

#[tokio::test]
async fn each_kind_of_statement_goes_up_and_down() {
    for (up, down) in [
        (
            "create index concurrently items_id on items (id);",
            "drop index concurrently items_id;",
        ),
        (
            "create unique index concurrently if not exists \"Items Id\" on only items (id) where id > 0;",
            "drop index concurrently if exists \"Items Id\";",
        ),
        (
            "create index a on items (id); reindex index concurrently a; reindex (verbose) table concurrently items;
             reindex table items; vacuum items; vacuum (analyze) items; analyze items;",
            "drop index a;",
        ),
        (
            "create table parts (id int) partition by range (id);
             create table parts_1 partition of parts for values from (0) to (10);
             alter table parts detach partition parts_1 concurrently;",
            "drop table parts_1; drop table parts;",
        ),
        (
            "create type mood as enum ('calm'); alter type mood add value 'glad';
             create table moods (mood mood default 'glad');",
            "drop table moods; drop type mood;",
        ),
        (
            "alter table items add constraint positive check (id > 0) not valid;
             alter table items validate constraint positive;",
            "alter table items drop constraint positive;",
        ),
        (
            "create procedure twice() language plpgsql as 'begin commit; insert into items values (9); end';
             call twice(); do $$ begin commit; delete from items where id = 9; commit; end $$;",
            "drop procedure twice();",
        ),
        ("", "select 1"),
    ] {
        let small = acme("(1), (2)", up, down).await;
        let before = text(&small, INDEXES).await;
        for _ in 0..2 {
            let report = small.go(Goal::Latest).await;
            assert!(report.is_complete(), "{up}: {report:#?}");
            let indexes = text(&small, INDEXES).await;
            assert!(!indexes.contains("INVALID"), "{indexes}");
            let head = small.pinned("acme").await.head;
            assert_eq!((head.version, head.running), (Some(Version::new(2)), None));
            let report = small.go(Goal::Down(1)).await;
            assert!(report.is_complete(), "{down}: {report:#?}");
        }
        assert_eq!(text(&small, INDEXES).await, before, "{down}");
        let head = small.pinned("acme").await.head;
        assert_eq!((head.revision, head.running), (5, None));
        let log = small.log("acme").await;
        let states: Vec<_> = log[1..].iter().map(|entry| entry.state.as_str()).collect();
        assert_eq!(states, ["applied", "reverted", "applied", "reverted"]);
        assert!(small.go(Goal::Latest).await.is_complete());
        assert!(small.go(Goal::Redo).await.is_complete());
        assert!(small.go(Goal::Goto(Version::new(1))).await.is_complete());
    }
}

#[tokio::test]
async fn a_new_tenant_is_built_through_one() {
    let small = items(
        "(1)",
        "create index concurrently items_id on items (id);",
        "drop index concurrently items_id;",
    )
    .await;
    small.write("tenant/3-more.up.sql", "create table more ();");
    small.write("tenant/3-more.down.sql", "drop table more;");
    let small = small.reopened();
    small.add("acme").await;
    assert_eq!(text(&small, INDEXES).await, "acme.items_id");
    assert_eq!(small.tables("acme").await, ["items", "more"]);
    assert!(small.go(Goal::Empty).await.is_complete());
    assert_eq!(small.tables("acme").await, [""; 0]);
}

#[tokio::test]
async fn a_new_tenant_that_stopped_in_one_is_gone_on_with() {
    let up = "insert into items values (5);\ninsert into items select id from shared.ids;";
    let small = items("(1)", up, "select 1;").await;
    let failed = small.text(&["tenant", "add", "acme"]);
    assert!(failed.starts_with("exit code 1"), "{failed}");
    small
        .run("create schema shared; create table shared.ids as select 6 as id")
        .await;
    let added = small.text(&["tenant", "add", "acme"]);
    assert!(added.starts_with("exit code 0"), "{added}");
    let rows = "select string_agg(id::text, ' ' order by id) from acme.items";
    assert_eq!(text(&small, rows).await, "1 5 6");
}

/// What it comes to shows whether anything was done twice.
const UP: &str = "insert into items values (10);
create index concurrently items_id on items (id);
insert into items values (11);
alter table items add more text default 'x';
drop index concurrently items_id;
create unique index concurrently items_id on items (id);
reindex index concurrently items_id;
create table parts (id int) partition by range (id);
create table parts_1 partition of parts for values from (0) to (10);
alter table parts detach partition parts_1 concurrently;
vacuum items;
insert into items values (12);
";

const DOWN: &str = "drop index concurrently items_id;
delete from items where id > 9;
alter table items drop more;
drop table parts_1;
drop table parts;
";

/// Ends the session that reaches the n-th step: a change of the record, the end of its transaction, the end of a command.
/// Below 0: before the command of that statement does anything. (That one must not count: a number from a sequence would
/// give the transaction an id, and then nothing is dropped concurrently in it.)
const CRASHES: &str = "
    create sequence public.steps;
    create table public.crash (step bigint);
    create function public.may_crash() returns void language plpgsql as $$ begin
        if current_setting('application_name') = 'tenantry'
           and nextval('public.steps') = (select step from public.crash) then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
    end $$;
    create function public.on_record() returns trigger language plpgsql as $$ begin
        perform public.may_crash();
        return null;
    end $$;
    create function public.on_end() returns event_trigger language plpgsql as $$ begin
        perform public.may_crash();
    end $$;
    create function public.on_start() returns event_trigger language plpgsql as $$ begin
        if exists (select from public.crash c join tenantry.history h on h.state = 'running' and h.statements_done = -1 - c.step) then
            perform pg_terminate_backend(pg_backend_pid());
        end if;
    end $$;
    create trigger crash after insert or update on tenantry.history for each row execute function public.on_record();
    create constraint trigger at_the_end after insert or update on tenantry.history deferrable initially deferred
        for each row execute function public.on_record();
    create event trigger at_start on ddl_command_start execute function public.on_start();
    create event trigger at_end on ddl_command_end execute function public.on_end();";

/// Carries `goal` with a crash at every step, one after the other, each gone on with by somebody else.
async fn crash_everywhere(small: &Small, goal: Goal) {
    let mut steps = 0;
    while crash_at(small, goal, steps + 1).await {
        steps += 1;
    }
    assert!(steps > 15, "only {steps} steps");
    let mut commands = 0;
    for statement in 1..=12 {
        back(small, goal).await;
        commands += usize::from(crash_at(small, goal, -statement).await);
    }
    assert!(commands > 3, "only {commands} commands");
}

/// Whether it came to that step; then somebody else has gone on with it, and everything is back where it began.
async fn crash_at(small: &Small, goal: Goal, step: i64) -> bool {
    let set = format!(
        "truncate public.crash; select setval('public.steps', 1, false); insert into public.crash values ({step})"
    );
    small.run(&set).await;
    let carried = once(small, goal).await;
    small.run("truncate public.crash").await;
    let Some(failure) = carried.failure else {
        return false;
    };
    assert_eq!(failure.fault, Fault::Connection, "step {step}: {failure}");
    let head = small.pinned("acme").await.head;
    assert_eq!(head.dirty, None, "step {step}");
    let rest = once(small, goal).await;
    assert_eq!(rest.failure, None, "after a crash at step {step}");
    judge(small, goal, step).await;
    back(small, goal).await;
    true
}

/// Back to where the way to `goal` begins, undisturbed.
async fn back(small: &Small, goal: Goal) {
    let report = match goal {
        Goal::Latest => small.go(Goal::DownTo(Version::new(1))).await,
        _ => small.go(Goal::Latest).await,
    };
    assert!(report.is_complete(), "{report:#?}");
}

async fn judge(small: &Small, goal: Goal, step: i64) {
    let rows = "select string_agg(id::text, ' ' order by id) from acme.items";
    let (indexes, ids, tables) = match goal {
        Goal::Latest => (
            "acme.items_id",
            "1 2 10 11 12",
            vec!["items", "parts", "parts_1"],
        ),
        _ => ("", "1 2", vec!["items"]),
    };
    assert_eq!(text(small, INDEXES).await, indexes, "step {step}");
    assert_eq!(text(small, rows).await, ids, "step {step}");
    assert_eq!(small.tables("acme").await, tables, "step {step}");
    let head = small.pinned("acme").await.head;
    assert_eq!(head.running, None, "step {step}");
    let expected = if goal == Goal::Latest { 2 } else { 1 };
    assert_eq!(head.version, Some(Version::new(expected)), "step {step}");
    let last = small.log("acme").await.pop().unwrap();
    let state = if goal == Goal::Latest {
        "applied"
    } else {
        "reverted"
    };
    assert_eq!((&*last.state, last.note), (state, None), "step {step}");
}

#[tokio::test]
async fn a_crash_at_any_step_of_the_way_up_is_gone_on_with() {
    let mut small = acme("(1), (2)", UP, DOWN).await;
    small.run(CRASHES).await;
    small.fleet.limits.also_writes = vec![Ident::new("public").unwrap()];
    crash_everywhere(&small, Goal::Latest).await;
}

#[tokio::test]
async fn a_crash_at_any_step_of_the_way_back_is_gone_on_with() {
    let mut small = acme("(1), (2)", UP, DOWN).await;
    assert!(small.go(Goal::Latest).await.is_complete());
    small.run(CRASHES).await;
    small.fleet.limits.also_writes = vec![Ident::new("public").unwrap()];
    crash_everywhere(&small, Goal::Down(1)).await;
}

/// A transaction that has written to the table, for which everything concurrent waits.
async fn writer(small: &Small) -> PgConnection {
    let mut writer = small.connect().await;
    sqlx::raw_sql("begin; insert into acme.items values (100)")
        .execute(&mut writer)
        .await
        .unwrap();
    writer
}

/// Ends the session that runs such a statement, once it waits.
async fn kill(small: &Small, like: &str) {
    let mut connection = small.connect().await;
    until("somebody waits", async || {
        sqlx::query_scalar::<_, bool>(
            "select coalesce(bool_or(pg_terminate_backend(pid)), false) from pg_stat_activity
              where datname = current_database() and application_name = 'tenantry' and state = 'active'
                and query ilike $1 and wait_event_type in ('Lock', 'Timeout')",
        )
        .bind(format!("{like}%"))
        .fetch_one(&mut connection)
        .await
        .unwrap()
    })
    .await;
}

#[tokio::test]
async fn an_invalid_index_is_built_again_by_whoever_comes_next() {
    for (up, like) in [
        (
            "create index concurrently items_id on items (id);",
            "create index",
        ),
        (
            "create index concurrently if not exists items_id on items (id);",
            "create index",
        ),
        ("reindex table concurrently items;", "reindex"),
        ("reindex index concurrently items_id;", "reindex"),
    ] {
        let small = acme("(1), (2)", up, "drop index concurrently items_id;").await;
        if like == "reindex" {
            small.run("create index items_id on acme.items (id)").await;
        }
        let other = writer(&small).await;
        let (carried, ()) = tokio::join!(once(&small, Goal::Latest), kill(&small, like));
        assert_eq!(carried.failure.unwrap().fault, Fault::Connection);
        assert!(text(&small, INDEXES).await.contains("INVALID"), "{up}");
        let halfway = small.pinned("acme").await.halfway.unwrap();
        let note = halfway.note.unwrap();
        assert!(note.starts_with("statement "), "{note}");
        drop(other);
        let report = small.go(Goal::Latest).await;
        assert!(report.is_complete(), "{up}: {report:#?}");
        assert_eq!(text(&small, INDEXES).await, "acme.items_id", "{up}");
        let invalid =
            "select string_agg(indexrelid::regclass::text, ' ') from pg_index where not indisvalid";
        assert_eq!(text(&small, invalid).await, "", "{up}");
        // What drops an index leaves it invalid as well.
        let other = writer(&small).await;
        let (carried, ()) = tokio::join!(once(&small, Goal::Down(1)), kill(&small, "drop index"));
        assert_eq!(carried.failure.unwrap().fault, Fault::Connection);
        drop(other);
        assert!(small.go(Goal::Down(1)).await.is_complete());
        assert_eq!(text(&small, INDEXES).await, "", "{up}");
    }
}

#[tokio::test]
async fn a_partition_that_is_half_detached_is_finished() {
    let up = "create table parts (id int) partition by range (id);
              create table parts_1 partition of parts for values from (0) to (200);
              alter table parts detach partition parts_1 concurrently;";
    let small = acme("(1)", up, "drop table parts_1; drop table parts;").await;
    small
        .run("create function acme.once_more() returns void language sql as ''")
        .await;
    let mut other = small.connect().await;
    let reading = async {
        // A query that was planned before holds the partition, and with it the second half up.
        until("the table is there", async || {
            let tables = small.tables("acme").await;
            tables.contains(&"parts_1".to_owned())
        })
        .await;
        let _ = sqlx::raw_sql("begin; select * from acme.parts")
            .execute(&mut other)
            .await;
    };
    let blocker = small.connect().await;
    drop(blocker);
    // Begun once to have the tables; then held up.
    let small_ref = &small;
    let carry = async {
        let mut lock = small_ref.connect().await;
        sqlx::raw_sql("select pg_advisory_lock(1953395321, 1)")
            .execute(&mut lock)
            .await
            .unwrap();
        let first = once(small_ref, Goal::Latest).await;
        assert_eq!(first.failure.unwrap().fault, Fault::Busy);
    };
    tokio::join!(carry, reading);
    let (carried, ()) = tokio::join!(once(&small, Goal::Latest), kill(&small, "alter table"));
    assert_eq!(carried.failure.unwrap().fault, Fault::Connection);
    let pending =
        "select inhdetachpending::text from pg_inherits where inhparent = 'acme.parts'::regclass";
    assert_eq!(text(&small, pending).await, "true");
    drop(other);
    let report = small.go(Goal::Latest).await;
    assert!(report.is_complete(), "{report:#?}");
    let left = "select count(*)::text from pg_inherits where inhparent = 'acme.parts'::regclass";
    assert_eq!(text(&small, left).await, "0");
}

#[tokio::test]
async fn an_error_leaves_no_invalid_index_and_is_gone_on_with_at_its_statement() {
    let up = "insert into items values (3);\ncreate unique index concurrently items_id\n  on items (id);\ninsert into items values (4);";
    let small = acme("(1), (1)", up, "drop index concurrently items_id;").await;
    let report = small.go(Goal::Latest).await;
    let failure = failure(&report);
    assert_eq!(
        (failure.fault, &*failure.error.code),
        (Fault::Tenant, "23505")
    );
    let place = failure.place.unwrap();
    assert_eq!((place.position.line, place.position.column), (3, 1));
    assert!(place.path.ends_with("2-alone.up.sql"));
    assert_eq!(text(&small, INDEXES).await, "");
    assert_eq!(text(&small, LOG).await, "failed 1");
    let pinned = small.pinned("acme").await;
    let running = Running {
        version: Version::new(2),
        direction: Direction::Up,
    };
    assert_eq!(
        (pinned.head.dirty, pinned.head.running),
        (None, Some(running))
    );
    let note = pinned.halfway.unwrap().note.unwrap();
    assert!(note.starts_with("statement 2 of 3 at "), "{note}");
    assert!(
        note.contains("2-alone.up.sql:3:1: could not create unique index"),
        "{note}"
    );

    // Nothing else is carried to it meanwhile.
    let refusal = |report: &Report| report.scopes[0].refusals[0].0.clone();
    for goal in [
        Goal::Down(1),
        Goal::UpTo(Version::new(1)),
        Goal::Empty,
        Goal::Redo,
    ] {
        assert_eq!(refusal(&small.go(goal).await), Refusal::Unfinished(running));
    }
    let baseline = Correction::Accept(Version::new(1));
    let standings = small.standings().await;
    let left = record(&small.fleet, Scope::Tenant, &standings, baseline)
        .await
        .unwrap();
    assert_eq!(left.blocked.len(), 1);

    small
        .run("delete from acme.items where ctid = (select min(ctid) from acme.items where id = 1)")
        .await;
    assert!(small.go(Goal::Latest).await.is_complete());
    assert_eq!(text(&small, LOG).await, "failed 1, applied 3");
    let rows = "select string_agg(id::text, ' ' order by id) from acme.items";
    assert_eq!(text(&small, rows).await, "1 3 4");
    assert_eq!(text(&small, INDEXES).await, "acme.items_id");
}

#[tokio::test]
async fn an_error_in_an_ordinary_statement_takes_that_one_back_and_no_other() {
    let up = "insert into items values (3);\ninsert into items select 4 from (select 1) as x (id) where 1 / 0 > id;";
    let small = acme("(1)", up, "select 1;").await;
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!(
        (&*failure.error.code, failure.place.unwrap().position.line),
        ("22012", 3)
    );
    assert_eq!(text(&small, LOG).await, "failed 1");
    let left = "select string_agg(id::text, ' ' order by id) from acme.items";
    assert_eq!(text(&small, left).await, "1 3");
}

#[tokio::test]
async fn another_text_is_refused_and_there_are_two_ways_out() {
    for (correction, version, ids) in [
        (Correction::Force(Some(Version::new(2))), 2, "1 3"),
        (Correction::Clear, 1, "1 3 3"),
    ] {
        let up = "insert into items values (3);\ninsert into items select 4 from (select 1) as x (id) where 1 / 0 > id;";
        let small = acme("(1)", up, "select 1;").await;
        assert!(!small.go(Goal::Latest).await.is_complete());
        small.write(
            "tenant/2-alone.up.sql",
            &format!("{MARK}insert into items values (3);"),
        );
        let small = small.reopened();
        let refused = failure(&small.go(Goal::Latest).await);
        assert_eq!(refused.fault, Fault::Unfinished);
        assert!(
            refused
                .error
                .message
                .starts_with("2 was begun with another text"),
            "{refused}"
        );
        // Nor as a transaction, when the mark is gone.
        small.write("tenant/2-alone.up.sql", "insert into items values (3);");
        let small = small.reopened();
        assert_eq!(
            failure(&small.go(Goal::Latest).await).fault,
            Fault::Unfinished
        );

        let standings = small.standings().await;
        let said = record(&small.fleet, Scope::Tenant, &standings, correction)
            .await
            .unwrap();
        assert_eq!(said.moved.len(), 1);
        let head = small.pinned("acme").await.head;
        assert_eq!(
            (head.version, head.running),
            (Some(Version::new(version)), None)
        );
        assert!(small.go(Goal::Latest).await.is_complete());
        let rows = "select string_agg(id::text, ' ' order by id) from acme.items";
        assert_eq!(text(&small, rows).await, ids);
    }
}

/// A migration of which nobody can tell how far it came.
const UNSEEABLE: &str = "create procedure slow() language plpgsql as
    'begin insert into items values (5); commit; perform pg_sleep(600); end';\n  call slow();\ndrop procedure slow();";

#[tokio::test]
async fn what_nothing_tells_makes_dirty_and_names_the_statement() {
    let small = acme("(1)", UNSEEABLE, "select 1;").await;
    let (carried, ()) = tokio::join!(once(&small, Goal::Latest), kill(&small, "call"));
    assert_eq!(carried.failure.unwrap().fault, Fault::Connection);
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!(failure.fault, Fault::Dirty, "{failure}");
    assert_eq!(failure.place.clone().unwrap().position.to_string(), "4:3");
    let pinned = small.pinned("acme").await;
    assert_eq!(pinned.head.dirty, Some(Version::new(2)));
    let at = "statement 2 of 3 at ";
    assert!(pinned.halfway.unwrap().note.unwrap().starts_with(at));
    for (command, code) in [
        (["status", "--check"].as_slice(), 5),
        (&["repair"], 5),
        (&["up"], 5),
        (&["tenant", "show", "acme"], 0),
    ] {
        let said = small.text(command);
        assert!(said.starts_with(&format!("exit code {code}\n")), "{said}");
        assert!(
            said.contains(at) && said.contains("2-alone.up.sql:4:3"),
            "{said}"
        );
    }
    let forced = small.text(&["force", "2", "acme", "--yes"]);
    assert!(forced.starts_with("exit code 0"), "{forced}");
    let head = small.pinned("acme").await.head;
    assert_eq!(
        (head.version, head.dirty, head.running),
        (Some(Version::new(2)), None, None)
    );
    assert!(small.go(Goal::Latest).await.is_complete());
}

#[tokio::test]
async fn an_error_of_what_may_be_done_in_part_makes_dirty_and_clearing_begins_anew() {
    let up = UNSEEABLE.replace("pg_sleep(600)", "1 / (select count(*) - 2 from items)");
    let small = acme("(1)", &up, "select 1;").await;
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!(failure.fault, Fault::Dirty, "{failure}");
    assert_eq!(&*failure.error.code, "22012", "{failure}");
    assert!(
        failure
            .error
            .context
            .is_some_and(|at| at.contains("slow()"))
    );
    small.run("delete from acme.items where id = 5; drop procedure acme.slow; insert into acme.items values (2)").await;
    let cleared = small.text(&["repair", "--clear-dirty", "--yes"]);
    assert!(cleared.starts_with("exit code 0"), "{cleared}");
    assert!(small.go(Goal::Latest).await.is_complete());
    let rows = "select string_agg(id::text, ' ' order by id) from acme.items";
    assert_eq!(text(&small, rows).await, "1 2 5");
}

#[tokio::test]
async fn a_call_that_failed_says_what_the_server_said() {
    for (up, code, said) in [
        (
            "call nothing_there();",
            "42883",
            "procedure nothing_there() does not exist",
        ),
        (
            "do $$ begin commit; raise sqlstate 'AB123'; end $$;",
            "AB123",
            "AB123",
        ),
    ] {
        let small = acme("(1)", up, "select 1;").await;
        let report = small.json(&["up"]);
        let shown = [
            report.clone(),
            small.text(&["status"]),
            small.text(&["tenant", "show", "acme"]),
            small.json(&["tenant", "show", "acme"]),
        ];
        for text in shown {
            assert!(text.contains(said) && text.contains(code), "{text}");
            assert!(!text.contains("cut off"), "{text}");
        }
        for part in [
            "\"fault\": \"dirty\"",
            &format!("\"code\": \"{code}\""),
            "the statement failed, and nothing tells how much of it was done: ",
            "tenantry repair --clear-dirty TENANT",
        ] {
            assert!(report.contains(part), "{part}: {report}");
        }
    }
}

#[tokio::test]
async fn a_call_that_met_a_lock_names_who_held_it() {
    let up =
        "create procedure add() language sql as 'alter table items add more text';\ncall add();";
    let mut small = acme("(1)", up, "select 1;").await;
    small.fleet.limits.lock_timeout = Duration::from_millis(500);
    let mut other = writer(&small).await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut other)
        .await
        .unwrap();
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!(
        (failure.fault, failure.tries),
        (Fault::Dirty, 1),
        "{failure}"
    );
    assert_eq!(&*failure.error.code, "55P03", "{failure}");
    let blockers: Vec<_> = failure.blockers.iter().map(|b| b.activity.pid).collect();
    assert_eq!(blockers, [Some(pid)], "{failure}");
    let note = small.pinned("acme").await.halfway.unwrap().note.unwrap();
    assert!(
        note.contains(&format!("(SQLSTATE 55P03); blocked by pid {pid} ")),
        "{note}"
    );
    assert!(
        !note.contains("insert into acme"),
        "what others run is for the report alone: {note}"
    );
}

#[tokio::test]
async fn what_is_all_or_nothing_is_known_when_the_server_refuses_it() {
    let up = "create database template1;";
    let small = acme("(1)", up, "select 1;").await;
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!(&*failure.error.code, "42P04", "{failure}");
    assert_eq!(text(&small, LOG).await, "failed 0");
    // Nothing of it is there, so it is in the way of nothing.
    let head = small.pinned("acme").await.head;
    assert_eq!((head.dirty, head.running), (None, None));
    assert!(small.go(Goal::Down(1)).await.is_complete());
}

#[tokio::test]
async fn who_asks_to_stop_waits_for_no_turn_and_has_begun_nothing() {
    let up = "create index concurrently items_id on items (id);";
    let small = acme("(1)", up, "drop index concurrently items_id;").await;
    let mut other = small.connect().await;
    sqlx::raw_sql("select pg_advisory_lock(1953395321, 1)")
        .execute(&mut other)
        .await
        .unwrap();
    let carried = once(&small, Goal::Latest).await;
    assert_eq!(carried.failure.unwrap().fault, Fault::Busy);
    assert_eq!(small.pinned("acme").await.head.running, None);
    assert_eq!(text(&small, LOG).await, "failed 0");
    drop(other);
    assert!(small.go(Goal::Latest).await.is_complete());
}

#[tokio::test]
async fn an_invalid_index_that_was_there_before_is_nobody_elses_to_drop() {
    let up = "create index concurrently if not exists items_id on items (id);";
    let small = acme("(1)", up, "drop index concurrently items_id;").await;
    small
        .run("create index items_id on acme.items (id); update pg_index set indisvalid = false where indexrelid = 'acme.items_id'::regclass")
        .await;
    let refused = failure(&small.go(Goal::Latest).await);
    assert!(
        refused
            .error
            .message
            .contains("was there before and is invalid"),
        "{refused}"
    );
    assert_eq!(text(&small, INDEXES).await, "acme.items_id INVALID");
    small.run("drop index acme.items_id").await;
    assert!(small.go(Goal::Latest).await.is_complete());
    assert_eq!(text(&small, INDEXES).await, "acme.items_id");
}

#[tokio::test]
async fn a_statement_whose_time_is_over_is_cancelled_and_cleared_up_after() {
    let up = "create index concurrently items_id on items (id);";
    let mut small = acme("(1)", up, "drop index concurrently items_id;").await;
    small.fleet.limits.statement_timeout = Duration::from_millis(200);
    let other = writer(&small).await;
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!(&*failure.error.code, "57014", "{failure}");
    assert!(
        failure.error.message.contains("did not end within 200ms"),
        "{failure}"
    );
    // While the other transaction is open, what was left cannot be dropped either: the record has it.
    let pinned = small.pinned("acme").await;
    let note = pinned.halfway.unwrap().note.unwrap();
    assert!(note.contains("did not end within 200ms"), "{note}");
    assert_eq!(pinned.head.dirty, None);
    assert_eq!(text(&small, LOG).await, "running 0");
    drop(other);
    assert!(small.go(Goal::Latest).await.is_complete());
    assert_eq!(text(&small, INDEXES).await, "acme.items_id");
}

#[tokio::test]
async fn a_lock_is_waited_for_a_few_times_and_no_longer() {
    let up = "insert into items values (3);\nalter table items add more text;";
    let mut small = acme("(1)", up, "select 1;").await;
    small.fleet.limits.lock_timeout = Duration::from_millis(20);
    small.fleet.limits.lock_tries = 3;
    let other = writer(&small).await;
    let failure = failure(&small.go(Goal::Latest).await);
    assert_eq!((failure.fault, failure.tries), (Fault::Retry, 3));
    assert_eq!(failure.place.unwrap().position.line, 3);
    assert_eq!(text(&small, LOG).await, "failed 1");
    drop(other);
    assert!(small.go(Goal::Latest).await.is_complete());
    let rows = "select string_agg(id::text, ' ' order by id) from acme.items";
    assert_eq!(text(&small, rows).await, "1 3");
}

#[tokio::test]
async fn two_runs_at_once_build_every_index_once() {
    let up = "insert into items values (3);\ncreate index concurrently items_id on items (id);\ninsert into items values (4);";
    let mut small = items("(1)", up, "drop index concurrently items_id;").await;
    small.fleet.limits.busy_wait = Duration::from_secs(60);
    let tenants: Vec<_> = (1..=8).map(|number| format!("tenant_{number}")).collect();
    for tenant in &tenants {
        small.import(tenant).await;
    }
    let both = async { tokio::join!(small.go(Goal::Latest), small.go(Goal::Latest)) };
    let (one, two) = tokio::time::timeout(Duration::from_secs(120), both)
        .await
        .unwrap();
    assert!(one.is_complete() && two.is_complete(), "{one:#?}{two:#?}");
    for tenant in &tenants {
        let head = small.pinned(tenant).await.head;
        assert_eq!((head.version, head.revision), (Some(Version::new(2)), 2));
        let log = small.log(tenant).await;
        assert_eq!(log.len(), 2, "{log:#?}");
        let query = format!("select (select string_agg(id::text, ' ' order by id) from {tenant}.items)
                             || (select string_agg(indisvalid::text, ' ') from pg_index where indrelid = '{tenant}.items'::regclass)");
        let found: String = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_one(&mut small.connect().await)
            .await
            .unwrap();
        assert_eq!(found, "1 3 4true");
    }
}

#[tokio::test]
async fn a_schema_that_was_moved_since_the_plan_is_not_touched() {
    let small = acme("(1)", "vacuum items;", "select 1;").await;
    let head = small.pinned("acme").await.head;
    let applied: Vec<_> = small.fleet.tenant.migrations[..1]
        .iter()
        .map(|m| Applied::of(m))
        .collect();
    let standing = Standing {
        applied: &applied,
        repeatables: Digest::EMPTY,
        running: None,
    };
    let plan = plan(
        &small.fleet.tenant,
        standing,
        Goal::Latest,
        &Default::default(),
        false,
    )
    .unwrap();
    let compiled = compile(&plan, &small.fleet.limits, Cut::Coarse, Audit::All);
    small
        .run("update tenantry.heads set fence = fence + 1")
        .await;
    let shard = small.fleet.shards.iter().next().unwrap();
    let carried = Carrier::new(shard, &small.fleet.limits)
        .carry(&plan, &compiled, &head)
        .await;
    assert_eq!(carried.failure.unwrap().fault, Fault::Stale);
    assert_eq!(small.pinned("acme").await.head.running, None);
}

#[test]
fn an_index_without_a_name_is_refused() {
    let (_, problems) = tenantry::migration::Script::read(
        "a.sql",
        format!("{MARK}create index concurrently on items (id)"),
    );
    assert_eq!(problems[0].code.id, "F411");
}

#[tokio::test]
async fn people_see_where_it_stands() {
    let shop = Shop::with(&["acme", "bolt"]).await;
    shop.sql("insert into acme.users values ('a'), ('a')").await;
    shop.migration(
        2,
        "unique-emails",
        &format!(
            "{MARK}alter table users add seen date;\ncreate unique index concurrently users_email_key\n  on users (email);\n"
        ),
        &format!("{MARK}drop index concurrently users_email_key;\nalter table users drop seen;\n"),
    );
    let mut settings = snapshots();
    settings.add_filter(r"tenantry\.(\w+)\(\d+", "tenantry.$1(OID");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME");
    settings.add_filter(r"\w+@[\w-]+", "USER@HOST");
    settings.bind(|| {
        let screens = |commands: &[&[&str]]| -> String {
            let shown = commands.iter().map(|command| {
                let screen = shop.run(command).screen();
                format!("$ tenantry {}\n{screen}\n", command.join(" "))
            });
            shown.collect()
        };
        insta::assert_snapshot!("statements_plan", screens(&[&["plan", "bolt", "--sql"]]));
        let text: &[&[&str]] = &[
            &["up"],
            &["status"],
            &["tenant", "show", "acme"],
            &["repair"],
            &["down", "acme", "--yes", "--steps", "1"],
            &["repair", "--clear-dirty", "--yes"],
            &["status"],
        ];
        insta::assert_snapshot!("statements_screens", screens(text));
    });
}

#[tokio::test]
async fn programs_see_where_it_stands() {
    let up = "insert into items values (2);\ninsert into items values (1 / 0);";
    let small = acme("(1)", up, "select 1;").await;
    assert!(!small.go(Goal::Latest).await.is_complete());
    let mut settings = snapshots();
    settings.add_filter(r"/[\w./]+/tenant/", "tenant/");
    settings.add_filter(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME");
    settings.add_filter(r"\w+@[\w-]+", "USER@HOST");
    settings.bind(|| {
        let status = small.json(&["status"]);
        let show = small.json(&["tenant", "show", "acme"]);
        let down = small.json(&["down", "acme", "--yes", "--steps", "1"]);
        let repair = small.json(&["repair"]);
        insta::assert_snapshot!("statements_json", [status, show, down, repair].join("\n"));
    });
    // Taken away as it is; nothing is left running.
    let retired = small.text(&["tenant", "retire", "acme", "--yes"]);
    assert!(retired.starts_with("exit code 0"), "{retired}");
    assert_eq!(text(&small, LOG).await, "failed 1");
}

#[tokio::test]
async fn another_process_goes_on_where_one_was_killed() {
    let shop = Shop::with(&["acme"]).await;
    let up = "insert into users values ('a');\ncreate index concurrently users_email_idx on users (email);\ninsert into users values ('b');";
    let down = format!("{MARK}drop index concurrently users_email_idx;\n");
    shop.migration(2, "alone", &format!("{MARK}{up}"), &down);
    let mut other = shop.database.connect().await;
    sqlx::raw_sql("begin; insert into acme.users values ('open')")
        .execute(&mut other)
        .await
        .unwrap();
    let mut killed = crate::support::tenantry()
        .arg("up")
        .current_dir(shop.path())
        .env("TENANTRY__HOME__URL", &shop.database.url)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    shop.wait_for("select exists (select from pg_stat_progress_create_index where datname = current_database())")
        .await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let status = shop.run(&["status"]);
    assert!(
        status
            .stdout
            .contains("in the middle of 2 on the way up: acme"),
        "{}",
        status.screen()
    );
    let shown = shop.run(&["tenant", "show", "acme"]);
    let under_way = "statement 2 of 3 at tenant_migrations/2-alone.up.sql:3:1 is under way";
    assert!(shown.stdout.contains(under_way), "{}", shown.screen());
    // The server notices that the client is gone, and ends what it was doing.
    shop.wait_for("select not exists (select from pg_stat_progress_create_index where datname = current_database())")
        .await;
    drop(other);
    let up = shop.run(&["up"]);
    assert_eq!(up.code, 0, "{}", up.screen());
    let mut connection = shop.database.connect().await;
    let found: String = sqlx::query_scalar(
        "select (select string_agg(email, ' ' order by email) from acme.users)
             || (select string_agg(' ' || indisvalid, '') from pg_index where indrelid = 'acme.users'::regclass)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(found, "a b true");
    let back = shop.run(&["down", "acme", "--yes", "--steps", "1"]);
    assert_eq!(back.code, 0, "{}", back.screen());
}

/// Waits until such a statement waits, then tells whether its session holds the lock of the schema `acme`.
async fn holds_lock(small: &Small, like: &str) -> bool {
    let mut connection = small.connect().await;
    let mut held = None;
    until("somebody waits", async || {
        held = sqlx::query_scalar(
            "select exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.granted
                               and l.classid = 1953395321 and l.objid = 'acme'::regnamespace::oid)
               from pg_stat_activity a
              where a.datname = current_database() and a.application_name = 'tenantry' and a.state = 'active'
                and a.query ilike $1 and a.wait_event_type = 'Lock'",
        )
        .bind(format!("{like}%"))
        .fetch_optional(&mut connection)
        .await
        .unwrap();
        held.is_some()
    })
    .await;
    held.unwrap()
}

#[tokio::test]
async fn who_holds_the_lock_is_not_replaced_however_much_it_has_touched() {
    let up = "insert into items values (3);\ncreate index concurrently items_id on items (id);";
    let mut small = items("(1)", up, "drop index concurrently items_id;").await;
    small.write("tenant/1-items.up.sql", "insert into items values (2)");
    small = small.reopened();
    small.import("acme").await;
    small.run("create table acme.items (id int)").await;
    small.fleet.limits.relations = 1;
    let writer = writer(&small).await;
    let (report, held) = tokio::join!(small.go(Goal::Latest), async {
        let held = holds_lock(&small, "create index").await;
        drop(writer);
        held
    });
    assert!(report.is_complete(), "{report:#?}");
    assert!(held, "another session went on without the lock");
    assert_eq!(text(&small, INDEXES).await, "acme.items_id");
}

#[tokio::test]
async fn who_is_in_the_way_is_named_and_not_waited_for_without_an_end() {
    for (up, code) in [
        ("reindex table items;", "55P03"),
        ("alter table items add more text;", "55P03"),
        ("create index concurrently items_id on items (id);", "57014"),
    ] {
        let mut small = acme("(1)", up, "select 1;").await;
        small.fleet.limits.lock_timeout = Duration::from_millis(500);
        small.fleet.limits.lock_tries = 1;
        if code == "57014" {
            small.fleet.limits.statement_timeout = Duration::from_millis(900);
        }
        let mut other = writer(&small).await;
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut other)
            .await
            .unwrap();
        let went = tokio::time::timeout(Duration::from_secs(30), small.go(Goal::Latest)).await;
        let failure = failure(&went.expect(up));
        assert_eq!(&*failure.error.code, code, "{up}: {failure}");
        let blockers: Vec<_> = failure.blockers.iter().map(|b| b.activity.pid).collect();
        assert_eq!(blockers, [Some(pid)], "{up}: {failure}");
    }
}

#[tokio::test]
async fn an_ordinary_statement_that_changes_another_tenant_is_taken_back() {
    for up in [
        "update bolt.items set id = 7;",
        "do $$ begin execute 'update bolt.items set id = 7'; end $$;",
    ] {
        let up = format!("insert into items values (3);\n{up}");
        let small = acme("(1)", &up, "select 1;").await;
        small
            .run("create schema bolt; create table bolt.items as select 1 as id")
            .await;
        let failure = once(&small, Goal::Latest).await.failure.unwrap();
        assert_eq!(&*failure.error.code, "TN007", "{failure}");
        assert!(failure.error.message.contains("bolt.items"), "{failure}");
        assert_eq!(text(&small, "select id::text from bolt.items").await, "1");
        assert_eq!(text(&small, LOG).await, "failed 1");
    }
}
