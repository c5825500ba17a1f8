//! One message to one schema: what the guards around a script see, and what survives it.

use std::{sync::Arc, time::Duration};

use sqlx::PgConnection;
use tenantry::{
    apply::{Audit, Carried, Carrier, Cut, Failure, compile},
    history::{Applied, Digest, Head},
    migration::{Checksum, Direction, Repeatable, Scope, Script, Version},
    plan::{Correction, Goal, Plan, Standing, Step, Stored, plan},
    postgres::Fault,
    sql::Statement,
    travel::record,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Small, small};

/// A plan of scripts whose whole text counts as one statement, so that nobody looks into it.
pub(crate) fn opaque(texts: &[&str]) -> Plan {
    let mut plan = Plan::default();
    let mut applied = Vec::new();
    for (number, text) in (1..).zip(texts) {
        let mut script = Script::parse("opaque.sql", *text);
        script.statements = vec![Statement {
            span: 0..text.len(),
        }];
        let migration = Applied {
            version: Version::new(number),
            name: "opaque".to_owned(),
            up: Checksum::of(text),
            down: None,
        };
        applied.push(migration.clone());
        plan.steps.push(Step {
            direction: Direction::Up,
            version: Some(migration.version),
            digest: Digest::of(&applied),
            migration,
            script: Arc::new(script),
            down: None,
        });
    }
    plan
}

pub(crate) async fn carry(
    small: &Small,
    carrier: &mut Carrier<'_>,
    plan: &Plan,
    head: &Head,
) -> Carried {
    let compiled = compile(plan, &small.fleet.limits, Cut::Coarse, Audit::All);
    carrier.carry(plan, &compiled, head).await
}

pub(crate) fn carrier(small: &Small) -> Carrier<'_> {
    let shard = small.fleet.shards.iter().next().unwrap();
    Carrier::new(shard, &small.fleet.limits)
}

/// Carries one text to `acme`, which must fail.
pub(crate) async fn failure(small: &Small, text: &str) -> Failure {
    let head = small.pinned("acme").await.head;
    let carried = carry(small, &mut carrier(small), &opaque(&[text]), &head).await;
    carried.failure.unwrap()
}

#[tokio::test]
async fn a_script_that_ends_its_transaction_halts_its_tenant_and_nobody_else() {
    for text in [
        "create table a (); commit; create table public.b ()",
        "create table a (); commit; begin; create table public.b ()",
        "create table a (); commit; select 1 / 0",
        // A transaction that the text began itself.
        "create table a (); commit; begin; select 1 / 0",
        "create table a (); commit and chain; select 1 / 0",
        "create table a (); commit; select 1 as transaction; begin; select 1 / 0",
        "create table a (); commit; begin; commit; begin; create table b (); savepoint s; select 1 / 0",
        // Behind the COMMIT there is no schema to write to.
        "create table a (); commit; create table b (); commit",
    ] {
        let small = small(1).await;
        for tenant in ["acme", "bolt"] {
            small.import(tenant).await;
        }
        let head = small.pinned("acme").await.head;
        let mut carrier = carrier(&small);
        let plan = opaque(&["create table before ()", text]);
        let failure = carry(&small, &mut carrier, &plan, &head).await.failure;
        let failure = failure.unwrap();
        assert_eq!(failure.fault, Fault::Escaped, "{text}: {failure:?}");
        assert_eq!(failure.error.code, "TN005");
        assert_eq!(failure.place.unwrap().version, Some(Version::new(2)));
        let head = small.pinned("acme").await.head;
        assert_eq!(head.dirty, Some(Version::new(2)), "{text}");
        assert_eq!(head.version, Some(Version::new(1)));
        assert_eq!(small.tables("public").await, [""; 0]);

        // Nothing more is carried to it; the next tenant on the same session is as good as any.
        let refused = carry(&small, &mut carrier, &opaque(&["select 1"]), &head).await;
        assert_eq!(refused.failure.unwrap().fault, Fault::Dirty);
        let head = small.pinned("bolt").await.head;
        let next = carry(&small, &mut carrier, &opaque(&["create table b ()"]), &head).await;
        assert_eq!((next.migrations, next.failure), (1, None));
        assert_eq!(small.tables("bolt").await, ["b"]);

        // The way out.
        let standings = small.standings().await;
        let clear = record(
            &small.fleet,
            Scope::Tenant,
            &standings[..1],
            Correction::Clear,
        );
        assert_eq!(clear.await.unwrap().moved.len(), 1);
        let head = small.pinned("acme").await.head;
        let again = opaque(&["create table c ()"]);
        let again = carry(&small, &mut carrier, &again, &head).await;
        assert_eq!((again.migrations, again.failure), (1, None));
    }
}

#[tokio::test]
async fn a_revision_that_somebody_else_reached_is_not_taken_for_ours() {
    let small = small(1).await;
    small.import("acme").await;
    let text = "create table a (); commit; begin;
                update tenantry.heads set revision = revision + 1 where schema_name = 'acme'; commit";
    let failure = failure(&small, text).await;
    assert_eq!(failure.fault, Fault::Escaped);
    let head = small.pinned("acme").await.head;
    assert_eq!((head.version, head.dirty), (None, Some(Version::new(1))));
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for_without_an_end() {
    let mut small = small(1).await;
    small.import("acme").await;
    small.fleet.limits.statement_timeout = Duration::from_millis(50);
    small.fleet.limits.grace = Duration::from_millis(500);
    let head = small.pinned("acme").await.head;
    // Its name in two parts: of what a script says openly of its time, it is taken by its word.
    let text = "do $$ begin perform set_config('statement' || '_timeout', '0', true); end $$;
                select pg_sleep(600)";
    let stop = CancellationToken::new();
    stop.cancel();
    let mut carrier = carrier(&small).until(stop);
    let plan = opaque(&[text]);
    let carried = carry(&small, &mut carrier, &plan, &head);
    let carried = tokio::time::timeout(Duration::from_secs(60), carried).await;
    let failure = carried.unwrap().failure.unwrap();
    assert_eq!(failure.fault, Fault::Connection);
    let words = "the connection was lost: the server gave no answer within";
    assert!(failure.error.message.starts_with(words), "{failure:?}");
}

#[tokio::test]
async fn who_asks_to_stop_waits_for_no_other_try() {
    let mut small = small(1).await;
    small.import("acme").await;
    small.fleet.limits.busy_wait = Duration::from_secs(3600);
    let head = small.pinned("acme").await.head;
    let _other = busy(&small, &head).await;
    let stop = CancellationToken::new();
    let mut carrier = carrier(&small).until(stop.clone());
    let plan = opaque(&["create table a ()"]);
    stop.cancel();
    let carried = carry(&small, &mut carrier, &plan, &head);
    let carried = tokio::time::timeout(Duration::from_secs(60), carried).await;
    let failure = carried.unwrap().failure.unwrap();
    assert_eq!((failure.fault, failure.tries), (Fault::Busy, 1));
}

#[tokio::test]
async fn a_spent_budget_ends_the_waiting_of_others() {
    let small = small(1).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    small.run("create table bolt.t1 ()").await;
    let mut small = small.reopened();
    small.fleet.limits.busy_wait = Duration::from_secs(3600);
    let head = small.pinned("acme").await.head;
    let _other = busy(&small, &head).await;
    let report = tokio::time::timeout(Duration::from_secs(60), small.go(Goal::Latest)).await;
    assert!(!report.unwrap().is_complete());
}

/// A session that is at work on a schema until it is dropped.
async fn busy(small: &Small, head: &Head) -> PgConnection {
    let mut other = small.connect().await;
    sqlx::query("select pg_advisory_lock((1953395321::bigint << 32) | $1)")
        .bind(i64::from(head.schema_oid))
        .execute(&mut other)
        .await
        .unwrap();
    other
}

#[tokio::test]
async fn a_script_that_leaves_its_schema_leaves_nothing_behind() {
    let small = small(1).await;
    small.import("acme").await;
    let before = small.pinned("acme").await;
    for text in [
        "create table a (); select set_config('search_path', 'public', false); create table b ()",
        "create table a (); drop schema acme cascade",
        "create table a (); alter schema acme rename to other",
        "create table a (); drop schema acme cascade; create schema acme",
    ] {
        let failure = failure(&small, text).await;
        let left = [Fault::Wandered, Fault::Gone];
        assert!(left.contains(&failure.fault), "{text}: {failure:?}");
        assert_eq!(failure.place.unwrap().version, Some(Version::new(1)));
        assert_eq!(small.pinned("acme").await, before, "{text}");
        assert_eq!(small.tables("acme").await, [""; 0], "{text}");
        assert_eq!(small.tables("public").await, [""; 0], "{text}");
    }
}

#[tokio::test]
async fn a_schema_that_was_moved_or_made_anew_since_the_plan_is_not_touched() {
    let small = small(1).await;
    small.import("acme").await;
    let head = small.pinned("acme").await.head;
    let mut carrier = carrier(&small);
    let plan = opaque(&["create table a ()"]);
    assert!(small.go(Goal::Latest).await.is_complete());
    let stale = carry(&small, &mut carrier, &plan, &head).await;
    assert_eq!(stale.failure.unwrap().fault, Fault::Stale);

    let head = small.pinned("acme").await.head;
    small
        .run("drop schema acme cascade; create schema acme")
        .await;
    let gone = carry(&small, &mut carrier, &plan, &head).await;
    assert_eq!(gone.failure.unwrap().fault, Fault::Gone);
    assert_eq!(small.tables("acme").await, [""; 0]);
}

#[tokio::test]
async fn a_busy_schema_is_come_back_to() {
    let mut small = small(1).await;
    small.import("acme").await;
    let head = small.pinned("acme").await.head;
    let mut other = busy(&small, &head).await;
    let text = "create table a ()";
    assert_eq!(failure(&small, text).await.fault, Fault::Busy);

    small.fleet.limits.busy_wait = Duration::from_secs(30);
    let plan = opaque(&[text]);
    let mut carrier = carrier(&small);
    let freed = async {
        // Until it was refused at least once.
        let refused = "select exists (select from pg_stat_activity
                        where datname = current_database() and application_name = 'tenantry' and state = 'idle'
                          and query like 'ROLLBACK%')";
        while !sqlx::query_scalar::<_, bool>(refused)
            .fetch_one(&mut other)
            .await
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
        sqlx::query("select pg_advisory_unlock_all()")
            .execute(&mut other)
            .await
            .unwrap();
    };
    let (carried, ()) = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::join!(carry(&small, &mut carrier, &plan, &head), freed)
    })
    .await
    .unwrap();
    assert_eq!((carried.migrations, carried.failure), (1, None));
}

#[tokio::test]
async fn nothing_that_a_script_sets_survives_into_the_next_tenant() {
    let small = small(1).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    small.run("do $$ begin create role set_by_a_script; exception when duplicate_object then null; end $$;
               grant usage on schema tenantry to public; grant all on all tables in schema tenantry to public;
               grant usage on schema acme to public")
        .await;
    let mut carrier = carrier(&small);
    let sets = "select set_config('work_mem', '123kB', false), set_config('search_path', 'acme, public', false),
                       set_config('role', 'set_by_a_script', false), set_config('my.own', 'x', false);
                create temp table left_over ()";
    let looks = "create table seen as select current_setting('work_mem') as work_mem, current_user::text as who,
                        current_setting('my.own', true) as own, current_schema()::text as schema,
                        to_regclass('pg_temp.left_over') is not null as left_over";
    let mut carried = Vec::new();
    for (tenant, text) in [("acme", sets), ("bolt", looks)] {
        let head = small.pinned(tenant).await.head;
        carried.push(carry(&small, &mut carrier, &opaque(&[text]), &head).await);
    }
    assert!(carried.iter().all(|c| c.failure.is_none()), "{carried:#?}");
    type Seen = (String, String, Option<String>, String, bool);
    let (work_mem, who, own, schema, left_over): Seen = sqlx::query_as("select * from bolt.seen")
        .fetch_one(&mut small.connect().await)
        .await
        .unwrap();
    assert_ne!(work_mem, "123kB");
    assert_ne!(who, "set_by_a_script");
    assert_eq!(own.unwrap_or_default(), "");
    assert_eq!((schema.as_str(), left_over), ("bolt", false));
}

#[tokio::test]
async fn nothing_that_a_script_holds_survives_into_the_next_tenant() {
    let small = small(0).await;
    for tenant in ["acme", "bolt"] {
        small.import(tenant).await;
    }
    let mut carrier = carrier(&small);
    let holds = "select pg_advisory_lock(42); declare c cursor with hold for select 1; listen a";
    let looks = "do $$ begin
        assert not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and objid = 42), 'lock';
        assert not exists (select from pg_cursors where name = 'c'), 'cursor';
        assert not exists (select from pg_listening_channels()), 'channel';
    end $$";
    // What fails after a COMMIT of its own leaves as much.
    let fails = format!("commit; begin; {holds}; commit; select 1 / 0");
    for (text, done) in [(holds, 1), (looks, 1), (&*fails, 0), (looks, 1)] {
        let tenant = if done == 1 { "bolt" } else { "acme" };
        let head = small.pinned(tenant).await.head;
        let carried = carry(&small, &mut carrier, &opaque(&[text]), &head).await;
        assert_eq!(carried.migrations, done, "{carried:#?}");
    }
}

#[tokio::test]
async fn what_cannot_be_one_transaction_is_carried_in_several() {
    let small = small(1).await;
    small.import("acme").await;
    let head = small.pinned("acme").await.head;
    // The use of a new enum value fails in the transaction that adds it; nobody can see that in these texts.
    let plan = opaque(&[
        "create type mood as enum ('calm')",
        "do $$ begin alter type mood add value 'glad'; end $$",
        "do $$ begin create table moods (mood mood default 'glad'); end $$",
    ]);
    let carried = carry(&small, &mut carrier(&small), &plan, &head).await;
    assert_eq!((carried.migrations, carried.failure), (3, None));
    let head = small.pinned("acme").await.head;
    assert_eq!((head.version, head.revision), (Some(Version::new(3)), 3));
    assert_eq!(small.tables("acme").await, ["moods"]);
}

#[tokio::test]
async fn a_lock_table_that_is_full_has_the_plan_cut_and_leaves_the_shard_open() {
    let small = small(1).await;
    small.import("acme").await;
    let head = small.pinned("acme").await.head;
    let full = "do $$ begin
        if exists (select from pg_class where oid = 'a'::regclass and xmin = pg_current_xact_id()::xid) then
            raise exception using errcode = '53200', message = 'out of shared memory';
        end if;
    end $$";
    let plan = opaque(&["create table a ()", full]);
    let carried = carry(&small, &mut carrier(&small), &plan, &head).await;
    assert_eq!((carried.migrations, carried.failure), (2, None));
    // What one migration needs alone cannot be cut.
    let alone = opaque(&["do $$ begin raise exception using errcode = '53200'; end $$"]);
    let head = small.pinned("acme").await.head;
    let carried = carry(&small, &mut carrier(&small), &alone, &head).await;
    assert_eq!(carried.failure.unwrap().fault, Fault::Shard);
}

/// Whether the function `f` of `acme` is there.
async fn has_f(small: &Small) -> bool {
    sqlx::query_scalar("select to_regprocedure('acme.f()') is not null")
        .fetch_one(&mut small.connect().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_function_that_a_way_back_took_along_is_made_again() {
    let small = small(0).await;
    small.write("tenant/1-base.up.sql", "create table base ();");
    small.write("tenant/1-base.down.sql", "drop table base;");
    small.write("tenant/2-mood.up.sql", "create type mood as enum ('calm');");
    small.write("tenant/2-mood.down.sql", "drop type mood cascade;");
    small.function(
        "f",
        "create or replace function f() returns mood language sql as $$ select 'calm'::mood $$;",
    );
    let small = small.reopened();
    small.import("acme").await;
    assert!(small.go(Goal::Latest).await.is_complete());
    let head = small.pinned("acme").await.head;
    assert!(has_f(&small).await);

    assert!(small.go(Goal::Down(1)).await.is_complete());
    assert!(!has_f(&small).await);
    assert_eq!(small.pinned("acme").await.head.repeatables, Digest::EMPTY);

    assert!(small.go(Goal::Latest).await.is_complete());
    assert!(has_f(&small).await);
    assert!(small.go(Goal::Redo).await.is_complete());
    assert!(has_f(&small).await);
    assert_eq!(
        small.pinned("acme").await.head.repeatables,
        head.repeatables
    );
}

#[tokio::test]
async fn a_head_that_a_script_deletes_lets_nothing_through() {
    let small = small(0).await;
    small.import("acme").await;
    let head = small.pinned("acme").await.head;
    let text = "create table a (); delete from tenantry.heads";
    assert_eq!(failure(&small, text).await.fault, Fault::Foreign);
    let plan = opaque(&[text]);
    let unwatched = compile(&plan, &small.fleet.limits, Cut::Coarse, Audit::None);
    let unwatched = carrier(&small).carry(&plan, &unwatched, &head).await;
    assert_eq!(unwatched.failure.unwrap().fault, Fault::Gone);
    assert_eq!(small.tables("acme").await, [""; 0]);

    let script = Script::parse("f.sql", "delete from tenantry.heads");
    let repeatable = Repeatable {
        name: "f".to_owned(),
        script: Arc::new(script),
        problems: Vec::new(),
    };
    let plan = Plan {
        repeatables: vec![Arc::new(repeatable)],
        ..Plan::default()
    };
    let carried = carry(&small, &mut carrier(&small), &plan, &head).await;
    assert_eq!(carried.failure.unwrap().fault, Fault::Foreign);
    assert_eq!(small.pinned("acme").await.head, head);
}

#[tokio::test]
async fn a_broken_function_is_found_wherever_it_was_made() {
    let small = small(0).await;
    small.function(
        "f",
        "do $$ begin
           create function f() returns int language sql as 'select nope';
         exception when undefined_table then null;
         end $$;",
    );
    let small = small.reopened();
    small.import("acme").await;
    assert!(!small.go(Goal::Latest).await.is_complete());
    assert!(!has_f(&small).await);
}

/// Carries each text alone and all of them together, which must come to the same.
async fn together_as_alone(before: &[&str], texts: &[&str]) {
    let small = small(0).await;
    let mut number = 0;
    let mut write = |text: &str| {
        number += 1;
        small.write(&format!("tenant/{number}-m.up.sql"), text);
        small.write(&format!("tenant/{number}-m.down.sql"), "select 1;");
    };
    before.iter().copied().for_each(&mut write);
    texts.iter().copied().for_each(&mut write);
    let small = small.reopened();
    for tenant in ["alone", "together"] {
        small.import(tenant).await;
    }
    assert!(small.go(Goal::Up(before.len())).await.is_complete());
    let head = small.pinned("alone").await.head;
    let applied: Vec<_> = small.fleet.tenant.migrations[..before.len()]
        .iter()
        .map(|migration| Applied::of(migration))
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
        &Stored::new(),
        false,
    )
    .unwrap();
    let fine = compile(&plan, &small.fleet.limits, Cut::Fine, Audit::None);
    let alone = carrier(&small).carry(&plan, &fine, &head).await;
    assert_eq!((alone.migrations, alone.failure), (texts.len(), None));
    let head = small.pinned("together").await.head;
    let together = carry(&small, &mut carrier(&small), &plan, &head).await;
    assert_eq!(
        (together.migrations, together.failure),
        (texts.len(), None),
        "{texts:?}"
    );
}

#[tokio::test]
async fn migrations_carried_together_see_what_each_would_see_alone() {
    let keys = "create table parents (id int primary key);
                create table children (parent int references parents deferrable initially deferred);";
    let child_first = "insert into children values (1); insert into parents values (1);";
    together_as_alone(&[keys], &["create table a ();", child_first]).await;
    let other_child = "insert into children values (2); insert into parents values (2);";
    together_as_alone(&[], &[keys, child_first, "create table a ();", other_child]).await;
    let temporary = "create temp table scratch (a int) on commit drop;";
    together_as_alone(&[], &[temporary, temporary]).await;
    let looks = "do $$ begin assert coalesce(current_setting('my.own', true), '') = ''; end $$;";
    for sets in [
        "set local my.own = 'x';",
        "select set_config('my.own', 'x', true);",
        "do $$ begin perform set_config('my.own', 'x', true); end $$;",
    ] {
        together_as_alone(&[], &[sets, looks]).await;
    }
}

#[tokio::test]
async fn structure_alone_is_carried_in_one_transaction_whatever_is_deferrable() {
    let keys = "create table a (id int primary key); create table b (a int references a deferrable initially deferred)";
    let mut plan = opaque(&[
        keys,
        "create table c ()",
        "alter table c add d int",
        "update c set d = 1",
    ]);
    plan.has_deferrable = true;
    let limits = small(0).await.fleet.limits;
    assert_eq!(
        compile(&plan, &limits, Cut::Coarse, Audit::None)
            .parts
            .len(),
        2
    );
}
