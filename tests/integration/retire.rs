//! Tenants taken away piece by piece, within the room that the server has for locks.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};
use tenantry::{
    provision::{self, ProvisionError},
    sql::Ident,
    store::tenants,
    tenant::{TenantName, TenantState},
    verify::scratch::Server,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, Small, fleet::with_sets, options, small, until};

fn name(text: &str) -> TenantName {
    TenantName::new(text).unwrap()
}

async fn retire(small: &Small, tenant: &str) -> Result<(), ProvisionError> {
    provision::retire(&small.fleet, &name(tenant)).await
}

async fn state(small: &Small, tenant: &str) -> Option<TenantState> {
    let mut home = small.fleet.home().await.unwrap();
    let tenant = tenants::get(home.connection(), &name(tenant)).await;
    tenant.unwrap().map(|tenant| tenant.state)
}

async fn number(connection: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Writes down how many locks each transaction holds after each statement that changes the catalog.
const COUNT_LOCKS: &str = "
    create table public.held (locks bigint);
    create function public.count_locks() returns event_trigger language plpgsql as $$ begin
        insert into public.held select count(*) from pg_locks where pid = pg_backend_pid() and not fastpath;
    end $$;
    create event trigger count_locks on ddl_command_end execute function public.count_locks();";

/// Something of everything that a schema can hold.
const EVERYTHING: &str = "
    create schema if not exists acme; set search_path = acme;
    create type mood as enum ('good', 'bad'); create domain positive as int check (value > 0);
    create type pair as (a int, b int); create type span as range (subtype = int);
    create sequence numbers; create collation german from \"C\";
    create function double(int) returns int language sql immutable as 'select $1 * 2';
    create aggregate total (int) (sfunc = int4pl, stype = int);
    create operator <+> (leftarg = int, rightarg = int, function = int4pl);
    create table users (id serial primary key, name text unique, feeling mood, age positive, place pair,
                        twice int generated always as (double(id)) stored, at int default nextval('numbers'));
    create table orders (id bigint generated always as identity primary key, owner int references users, s span);
    create table lines (id int, of bigint references orders on delete cascade, boss users);
    alter table users add column last bigint references orders;
    create table parent (id int); create table heir (more int) inherits (parent);
    create table log (at int primary key, note text) partition by range (at);
    create table log_1 partition of log for values from (0) to (10);
    create table log_2 partition of log for values from (10) to (20);
    create table about (at int references log);
    create table split (at int references log, who int references users) partition by range (at);
    create table split_1 partition of split default;
    create index on split (who);
    create view names as select name, double(id) from users; create view twice as select * from names;
    create materialized view counts as select count(*) from twice;
    create function latest() returns setof names language sql as 'select * from acme.names';
    create function changed() returns trigger language plpgsql as 'begin return new; end';
    create trigger watch before insert on users for each row execute function changed();
    create rule quiet as on delete to users do instead nothing;
    create statistics links on id, owner from orders;
    alter table orders enable row level security;
    create policy own on orders using (owner in (select id from acme.users));
    create procedure tidy() language sql as 'delete from acme.orders';";

#[tokio::test]
async fn whatever_a_schema_holds_goes_piece_by_piece() {
    let mut small = small(0).await;
    small.import("acme").await;
    small.run(EVERYTHING).await;
    small.run(COUNT_LOCKS).await;
    // As little as can be, so that every piece is a transaction.
    small.fleet.limits.locks = 1;
    retire(&small, "acme").await.unwrap();
    assert_eq!(state(&small, "acme").await, None);
    let mut connection = small.connect().await;
    let left = "select (select count(*) from tenantry.heads) + (select count(*) from pg_namespace where nspname = 'acme')";
    assert_eq!(number(&mut connection, left).await, 0);
    let pieces = number(&mut connection, "select count(*) from public.held").await;
    assert!(pieces > 15, "{pieces}");
}

#[tokio::test]
async fn whatever_a_schema_holds_goes_at_once_where_there_is_room() {
    let small = small(0).await;
    small.import("acme").await;
    small.run(EVERYTHING).await;
    small.run(COUNT_LOCKS).await;
    retire(&small, "acme").await.unwrap();
    let statements = number(
        &mut small.connect().await,
        "select count(*) from public.held",
    )
    .await;
    assert_eq!(statements, 1);
}

#[tokio::test]
async fn no_transaction_takes_more_locks_than_its_share() {
    let mut small = small(0).await;
    small.import("acme").await;
    small
        .run(
            "do $$ begin for i in 1 .. 60 loop
                 execute format('create table acme.t%s (id serial primary key, a text unique, b int check (b > 0))', i);
                 execute format('create index on acme.t%s (b)', i);
                 if i > 1 then execute format('alter table acme.t%s add foreign key (b) references acme.t%s', i, i - 1); end if;
                 execute format('create view acme.v%s as select * from acme.t%s', i, i);
             end loop; end $$",
        )
        .await;
    small.run(COUNT_LOCKS).await;
    small.fleet.limits.locks = 200;
    retire(&small, "acme").await.unwrap();
    let mut connection = small.connect().await;
    let most = number(&mut connection, "select max(locks) from public.held").await;
    assert!((100..=200).contains(&most), "{most}");
}

#[tokio::test]
async fn what_others_need_is_named_and_nothing_is_dropped() {
    let small = small(1).await;
    small.add("acme").await;
    for (made, named, unmade) in [
        (
            "create view other.v as select 1 from acme.t1",
            "view other.v",
            "drop view other.v",
        ),
        (
            "alter table acme.t1 add id int primary key; create table other.r (id int references acme.t1)",
            "r_id_fkey on other.r",
            "drop table other.r",
        ),
        (
            "create function acme.f() returns int language sql as 'select 1';
             create table other.d (id int default acme.f())",
            "default value for other.d.id",
            "drop table other.d",
        ),
        (
            "create type acme.mood as enum ('good'); create table other.c (id int, mood acme.mood)",
            "table column other.c.mood",
            "drop table other.c",
        ),
        (
            "create table other.h (more int) inherits (acme.t1)",
            "table other.h",
            "drop table other.h",
        ),
        (
            "create table other.w (); create rule also as on insert to other.w do also delete from acme.t1",
            "rule also on other.w",
            "drop table other.w",
        ),
        (
            "create function acme.g() returns trigger language plpgsql as 'begin return new; end';
             create table other.g (); create trigger g before insert on other.g execute function acme.g()",
            "trigger g on other.g",
            "drop table other.g",
        ),
    ] {
        small.run(&format!("create schema if not exists other; {made}")).await;
        let error = retire(&small, "acme").await.unwrap_err();
        assert!(matches!(error, ProvisionError::Needed { .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(state(&small, "acme").await, Some(TenantState::Active));
        assert_eq!(small.tables("acme").await, ["t1"]);
        small.run(unmade).await;
    }
    retire(&small, "acme").await.unwrap();
}

#[tokio::test]
async fn what_others_make_meanwhile_ends_it_without_loss() {
    let mut small = small(4).await;
    small.add("acme").await;
    small.fleet.limits.locks = 1;
    // Between the look and the last piece, as by an application.
    small
        .run(
            "create schema other; create table acme.kept (id int primary key);
             create function public.meddle() returns event_trigger language plpgsql as $$ begin
                 if to_regclass('other.v') is null and to_regclass('acme.t1') is not null then
                     create view other.v as select 1 from acme.t1;
                 end if;
             end $$;
             create event trigger meddle on sql_drop execute function public.meddle()",
        )
        .await;
    let error = retire(&small, "acme").await.unwrap_err();
    assert!(error.to_string().contains("view other.v"), "{error}");
    assert_eq!(state(&small, "acme").await, Some(TenantState::Retiring));
    small
        .run("drop event trigger meddle; drop view other.v")
        .await;
    // What is left of it is moved by nobody, and goes the next time.
    assert!(small.go(tenantry::plan::Goal::Latest).await.is_complete());
    retire(&small, "acme").await.unwrap();
    assert_eq!(state(&small, "acme").await, None);
}

#[tokio::test]
async fn a_table_in_use_is_waited_for_and_what_is_gone_stays_gone() {
    let mut small = small(6).await;
    small.add("acme").await;
    small.fleet.limits.locks = 1;
    small.fleet.limits.lock_timeout = Duration::from_millis(20);
    let mut application = small.connect().await;
    sqlx::raw_sql("begin; select * from acme.t3")
        .execute(&mut application)
        .await
        .unwrap();
    small.fleet.limits.lock_tries = 1;
    let error = retire(&small, "acme").await.unwrap_err();
    assert!(matches!(error, ProvisionError::InUse(_)), "{error}");
    assert_eq!(small.tables("acme").await, ["t1", "t2", "t3"]);
    small.fleet.limits.lock_tries = 100;
    let release = async {
        until("a table is waited for", async || {
            let waits = "select count(*) from pg_locks where not granted and locktype = 'relation'";
            number(&mut small.connect().await, waits).await > 0
        })
        .await;
        sqlx::raw_sql("rollback")
            .execute(&mut application)
            .await
            .unwrap();
    };
    let (retired, ()) = tokio::join!(retire(&small, "acme"), release);
    retired.unwrap();
    assert_eq!(state(&small, "acme").await, None);
}

#[tokio::test]
async fn cut_off_anywhere_it_is_finished_by_the_next_one() {
    let mut small = small(8).await;
    small.fleet.limits.locks = 1;
    small.fleet.limits.busy_wait = Duration::from_secs(10);
    for pieces in 1..8 {
        small.add("acme").await;
        let cut = async {
            until("some pieces are gone", async || {
                small.tables("acme").await.len() <= 8 - pieces
            })
            .await;
        };
        tokio::select! {
            _ = retire(&small, "acme") => {}
            () = cut => {}
        }
        if state(&small, "acme").await.is_some() {
            retire(&small, "acme").await.unwrap();
        }
        assert_eq!(state(&small, "acme").await, None);
        assert_eq!(small.tables("acme").await, [""; 0]);
    }
}

#[tokio::test]
async fn who_planned_for_a_tenant_cannot_move_what_is_left_of_it() {
    let mut small = small(3).await;
    small.add("acme").await;
    let before = small.pinned("acme").await.head;
    small.fleet.limits.locks = 1;
    small.fleet.limits.lock_tries = 1;
    small.fleet.limits.lock_timeout = Duration::from_millis(20);
    let mut application = small.connect().await;
    sqlx::raw_sql("begin; select * from acme.t1")
        .execute(&mut application)
        .await
        .unwrap();
    retire(&small, "acme").await.unwrap_err();
    let enter = sqlx::query("call tenantry.enter($1::bigint::oid, 'acme', $2, $3)")
        .bind(i64::from(before.schema_oid))
        .bind(before.revision)
        .bind(before.fence)
        .execute(&mut small.connect().await)
        .await;
    let error = enter.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "TN002");
}

/// Acceptance: default settings have room for a hundred times the locks of this server, for as many times the tenants.
#[tokio::test]
async fn many_tenants_are_retired_on_a_server_with_little_room_and_nobody_runs_out_of_it() {
    const TENANTS: usize = 6;
    let options = options()
        .max_connections(20)
        .setting("max_locks_per_transaction", "10")
        .setting("max_prepared_transactions", "0");
    let server = Server::start(&options).await.unwrap();
    let url = server
        .create_database(&Ident::new("fleet").unwrap())
        .await
        .unwrap();
    let database = Database { url };
    let sets = tempfile::tempdir().unwrap();
    for set in ["shared", "tenant"] {
        std::fs::create_dir(sets.path().join(set)).unwrap();
    }
    let fleet = with_sets(
        &database.url,
        &sets.path().join("shared"),
        &sets.path().join("tenant"),
    );
    crate::support::fleet::empty_tenants(&database, &fleet, TENANTS).await;
    let mut application = database.connect().await;
    // A table a transaction: more are out of this server's reach.
    let tables = format!(
        "do $$ begin for tenant in 1 .. {TENANTS} loop for number in 1 .. 60 loop
             execute format('create table tenant_%s.t%s (id serial primary key, a text unique, b int)', tenant, number);
             execute format('create index on tenant_%s.t%s (b)', tenant, number);
             commit;
         end loop; end loop; end $$"
    );
    sqlx::raw_sql(AssertSqlSafe(tables))
        .execute(&mut application)
        .await
        .unwrap();
    let names: Vec<_> = (1..=TENANTS)
        .map(|tenant| format!("tenant_{tenant}"))
        .collect();
    let all_at_once = format!("drop schema {} cascade", names.join(", "));
    let all_at_once = sqlx::raw_sql(AssertSqlSafe(all_at_once))
        .execute(&mut application)
        .await;
    let error = all_at_once.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "53200");
    // The server tells of an error before it lets go of the locks.
    number(&mut application, "select 1::bigint").await;

    let mut home = fleet.home().await.unwrap();
    let tenants = tenants::list(home.connection()).await.unwrap();
    let stop = CancellationToken::new();
    let done = CancellationToken::new();
    let retiring = async {
        let ended = provision::each(&fleet, tenants, &stop, async |tenant| {
            provision::retire(&fleet, &tenant.name).await
        })
        .await;
        done.cancel();
        ended
    };
    // Twenty tables in one transaction, again and again.
    let working = async {
        let mut rounds = 0;
        sqlx::raw_sql(
            "do $$ begin create schema app; for i in 1 .. 20 loop
                 execute format('create table app.t%s (id int)', i); commit;
             end loop; end $$",
        )
        .execute(&mut application)
        .await
        .unwrap();
        while !done.is_cancelled() {
            sqlx::raw_sql(
                "do $$ begin for i in 1 .. 20 loop execute format('insert into app.t%s values (1)', i); end loop; end $$",
            )
            .execute(&mut application)
            .await
            .unwrap();
            rounds += 1;
            tokio::task::yield_now().await;
        }
        rounds
    };
    let (ended, rounds) = tokio::join!(retiring, working);
    assert_eq!(ended.len(), TENANTS);
    for each in ended {
        let ended = each.ended.unwrap();
        assert!(
            ended.is_ok(),
            "{}: {}",
            each.tenant.name,
            ended.unwrap_err()
        );
    }
    assert!(rounds > 1);
    let left = number(&mut application, "select count(*) from tenantry.heads").await;
    assert_eq!(left, 0);
    server.stop().await.unwrap();
}

/// A fleet whose tenants can be had back for an hour.
async fn retired(tenant: &str) -> Small {
    let small = small(1).await;
    small.add(tenant).await;
    let grace = Duration::from_secs(3600);
    provision::retire_later(&small.fleet, &name(tenant), grace)
        .await
        .unwrap();
    small
}

async fn resume(small: &Small, tenant: &str) -> Result<(), ProvisionError> {
    let mut home = small.fleet.home().await.unwrap();
    let tenant = tenants::get(home.connection(), &name(tenant))
        .await
        .unwrap();
    provision::unsuspend(&small.fleet, &tenant.unwrap()).await
}

#[tokio::test]
async fn a_retired_tenant_can_be_had_back_until_it_is_dropped() {
    let small = retired("acme").await;
    assert_eq!(state(&small, "acme").await, Some(TenantState::Retiring));
    assert_eq!(small.tables("acme").await, ["t1"]);
    let shown = small.text(&["tenant", "show", "acme"]);
    assert!(
        shown.contains("`tenantry tenant resume acme` has it back"),
        "{shown}"
    );
    // It is moved with the fleet no more.
    small.write("tenant/2-t2.up.sql", "create table t2 ();");
    small.write("tenant/2-t2.down.sql", "drop table t2;");
    let small = small.reopened();
    small.go(tenantry::plan::Goal::Latest).await;
    assert_eq!(small.tables("acme").await, ["t1"]);
    resume(&small, "acme").await.unwrap();
    small.go(tenantry::plan::Goal::Latest).await;
    assert_eq!(small.tables("acme").await, ["t1", "t2"]);
    // Whoever does not want to wait need not; and then nobody has it back.
    let later = ["tenant", "retire", "acme", "--grace", "7d", "--yes"];
    assert!(small.text(&later).contains("has it back"));
    let days = "select count(*) from tenantry.tenants where drop_after between now() + interval '6 days 23 hours' and now() + interval '7 days'";
    assert_eq!(number(&mut small.connect().await, days).await, 1);
    assert_eq!(
        retire(&small, "acme").await.map_err(|e| e.to_string()),
        Ok(())
    );
    assert_eq!(state(&small, "acme").await, None);
    assert_eq!(small.tables("acme").await.len(), 0);
}

#[tokio::test]
async fn a_tenant_whose_drop_has_begun_cannot_be_had_back() {
    let small = retired("acme").await;
    let mut home = small.fleet.home().await.unwrap();
    let sealed = tenantry::store::retiring::seal(home.connection(), &name("acme")).await;
    assert!(sealed.unwrap());
    let refused = resume(&small, "acme").await;
    assert!(
        matches!(refused, Err(ProvisionError::State { .. })),
        "{refused:?}"
    );
    let grace = Duration::from_secs(3600);
    let refused = provision::retire_later(&small.fleet, &name("acme"), grace).await;
    assert!(
        matches!(refused, Err(ProvisionError::State { .. })),
        "{refused:?}"
    );
    retire(&small, "acme").await.unwrap();
    assert_eq!(state(&small, "acme").await, None);
}

/// A program for before the drop, which writes what it was told.
fn hook(small: &mut Small, script: &str) {
    let command = ["sh", "-c", script].map(str::to_owned);
    small.fleet.provision.before_retire = command.to_vec();
}

#[tokio::test]
async fn nothing_is_dropped_before_the_program_for_that_has_ended_well() {
    let mut small = small(1).await;
    small.add("acme").await;
    let kept = tempfile::NamedTempFile::new().unwrap();
    let path = kept.path().display().to_string();
    hook(&mut small, "exit 3");
    let refused = retire(&small, "acme").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "tenant acme was not dropped: `sh` (provision.before_retire) ended with exit status: 3; `tenantry tenant retire acme` \
         tries again, `tenantry tenant resume acme` has it back"
    );
    assert_eq!(small.tables("acme").await, ["t1"]);
    resume(&small, "acme").await.unwrap();
    assert_eq!(state(&small, "acme").await, Some(TenantState::Active));
    hook(&mut small, "sleep 60");
    small.fleet.provision.before_retire_timeout = Duration::from_millis(50);
    let refused = retire(&small, "acme").await.unwrap_err().to_string();
    assert!(refused.contains("did not end within 50ms"), "{refused}");
    small.fleet.provision.before_retire_timeout = Duration::from_secs(60);
    small.fleet.provision.before_retire = vec!["/no/such/program".to_owned()];
    let refused = retire(&small, "acme").await.unwrap_err().to_string();
    assert!(refused.contains("could not be begun"), "{refused}");
    assert_eq!(small.tables("acme").await, ["t1"]);
    let script = format!("echo $TENANTRY_TENANT $TENANTRY_SHARD $TENANTRY_SCHEMA >> {path}");
    hook(&mut small, &script);
    retire(&small, "acme").await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "acme main acme\n");
    assert_eq!(state(&small, "acme").await, None);
    // What is left of one whose drop was cut off is no tenant to be kept.
    small.add("blue").await;
    let grace = Duration::from_secs(3600);
    let later = provision::retire_later(&small.fleet, &name("blue"), grace).await;
    later.unwrap();
    let mut home = small.fleet.home().await.unwrap();
    let sealed = tenantry::store::retiring::seal(home.connection(), &name("blue")).await;
    assert!(sealed.unwrap());
    retire(&small, "blue").await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "acme main acme\n");
}

#[tokio::test]
async fn daemons_drop_a_tenant_when_its_time_is_over_and_run_the_program_once() {
    let small = retired("acme").await;
    small.add("blue").await;
    provision::retire_later(&small.fleet, &name("blue"), Duration::from_secs(3600))
        .await
        .unwrap();
    let kept = tempfile::NamedTempFile::new().unwrap();
    let path = kept.path().display().to_string();
    let settings = format!(
        "[provision]\nbefore_retire = [\"sh\", \"-c\", \"sleep 0.2; echo $TENANTRY_TENANT >> {path}\"]\n"
    );
    small.write("tenantry.toml", &settings);
    let daemon = || {
        let mut command = small.command(&["serve"]);
        command
            .env("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0")
            .env("TENANTRY__DAEMON__PROVISION_INTERVAL", "20ms")
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let mut daemons = [daemon(), daemon()];
    let mut connection = small.connect().await;
    until("both daemons live", async || {
        number(&mut connection, "select count(*) from tenantry.daemons").await == 2
    })
    .await;
    assert_eq!(state(&small, "acme").await, Some(TenantState::Retiring));
    small
        .run("update tenantry.tenants set drop_after = now() where name = 'acme'")
        .await;
    until("acme is no more", async || {
        state(&small, "acme").await.is_none()
    })
    .await;
    for daemon in &mut daemons {
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "acme\n");
    assert_eq!(small.tables("acme").await.len(), 0);
    assert_eq!(state(&small, "blue").await, Some(TenantState::Retiring));
    assert_eq!(small.tables("blue").await, ["t1"]);
}
