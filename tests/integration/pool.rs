//! The warm pool: schemas that are built ahead, and become a new tenant's by getting its name.

use futures::future::join;
use sqlx::PgConnection;
use tenantry::{
    fleet::Fleet,
    history::{Applied, Head},
    postgres::Connection,
    provision::{self, Added, By, Kept, ProvisionError},
    sql::Ident,
    store::{
        heads, history, pool,
        tenants::{self, Labels},
    },
    structure::{Snapshot, diff, snapshot},
    tenant::{ShardName, TenantName, TenantState},
    travel::Survey,
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    Shop, Small,
    fleet::{DOWN, UP, go},
    small, snapshots, until,
};

/// A fleet with so many migrations, and a pool of so many schemas.
async fn pooled(migrations: usize, size: u32) -> Small {
    let mut small = small(migrations).await;
    turn_on(&mut small.fleet, size);
    keep(&small.fleet).await.unwrap();
    small
}

fn turn_on(fleet: &mut Fleet, size: u32) {
    (fleet.provision.pool_min, fleet.provision.pool_max) = (size, size);
}

async fn keep(fleet: &Fleet) -> Result<Kept, ProvisionError> {
    let shard = fleet.shards.iter().next().unwrap();
    let kept = provision::keep(fleet, shard, &CancellationToken::new()).await;
    kept.map(|kept| kept.expect("no rollout is under way"))
}

async fn add(fleet: &Fleet, name: &str) -> Added {
    let name = TenantName::new(name).unwrap();
    let added = provision::add(fleet, &name, &ShardName::new("main"), &Labels::new()).await;
    added.unwrap()
}

async fn register(small: &Small, name: &str) {
    let mut home = small.fleet.home().await.unwrap();
    let (name, shard) = (TenantName::new(name).unwrap(), ShardName::new("main"));
    let state = TenantState::Provisioning;
    let new = tenants::insert(home.connection(), &name, &shard, state, &Labels::new()).await;
    assert!(new.unwrap());
}

/// The schemas of the pool, by name.
async fn schemas(connection: &mut PgConnection) -> Vec<String> {
    let named =
        "select nspname::text from pg_namespace where nspname ~ '^tenantry_pool_' order by 1";
    sqlx::query_scalar(named)
        .fetch_all(connection)
        .await
        .unwrap()
}

/// All that is known of a schema, without its name and its numbers.
async fn known(small: &Small, name: &str) -> (Snapshot, Vec<Applied>, Head, Vec<(String, String)>) {
    let head = small.pinned(name).await.head;
    let mut connection: Connection = small.connect().await.into();
    let structure = snapshot(&mut connection, &Ident::new(name).unwrap()).await;
    let applied = history::applied(&mut connection, &head).await.unwrap();
    let log = small.log(name).await.into_iter();
    let log = log
        .map(|entry| (entry.version.to_string(), entry.how))
        .collect();
    let head = Head {
        schema_oid: 0,
        schema: String::new(),
        revision: 0,
        fence: 0,
        ..head
    };
    (structure.unwrap(), applied, head, log)
}

#[tokio::test]
async fn a_tenant_from_the_pool_is_the_same_as_one_that_was_built() {
    let small = small(1).await;
    small.write(
        "tenant/2-orders.up.sql",
        "create type mood as enum ('good'); create table orders (id serial primary key, mood mood, note text default 'x');
         create view good as select * from orders where mood = 'good'; insert into orders (note) values ('first');",
    );
    small.write(
        "tenant/2-orders.down.sql",
        "drop view good; drop table orders; drop type mood;",
    );
    small.write(
        "tenant/3-index.up.sql",
        "-- tenantry: no-transaction\ncreate index concurrently orders_by_mood on orders (mood);",
    );
    small.write("tenant/3-index.down.sql", "drop index orders_by_mood;");
    let function = "create or replace function count_orders() returns bigint language sql as 'select count(*) from orders'";
    small.function("count_orders", function);
    let mut small = small.reopened();
    assert_eq!(add(&small.fleet, "built").await.built, By::Migrations);
    turn_on(&mut small.fleet, 1);
    assert_eq!(keep(&small.fleet).await.unwrap().made, 1);
    assert_eq!(add(&small.fleet, "O'Brien \"&\" Co").await.built, By::Pool);
    let (one, other) = (
        known(&small, "built").await,
        known(&small, "O'Brien \"&\" Co").await,
    );
    assert!(diff(&one.0, &other.0).is_empty());
    assert_eq!(one, other);
    assert_eq!(one.3.len(), 3, "{:?}", one.3);
    // The stored ways back are there for it too.
    for goal in [tenantry::plan::Goal::Empty, tenantry::plan::Goal::Latest] {
        let report = small.go(goal).await;
        assert!(report.is_complete());
    }
    assert_eq!(
        known(&small, "built").await,
        known(&small, "O'Brien \"&\" Co").await
    );
}

#[tokio::test]
async fn two_at_once_get_two_schemas_and_the_third_is_built() {
    let small = pooled(1, 2).await;
    let ahead = schemas(&mut small.connect().await).await;
    assert_eq!(ahead.len(), 2);
    let (acme, blue) = join(add(&small.fleet, "acme"), add(&small.fleet, "blue")).await;
    assert_eq!((acme.built, blue.built), (By::Pool, By::Pool));
    assert_eq!(schemas(&mut small.connect().await).await.len(), 0);
    assert_eq!(add(&small.fleet, "corp").await.built, By::Migrations);
    for name in ["acme", "blue", "corp"] {
        assert_eq!(small.tables(name).await, ["t1"]);
    }
    assert!(small.go(tenantry::plan::Goal::Latest).await.is_complete());
}

#[tokio::test]
async fn what_was_cut_off_between_two_steps_becomes_a_tenant() {
    let small = pooled(1, 3).await;
    // After it was registered: a daemon goes on.
    register(&small, "acme").await;
    let mut home = small.fleet.home().await.unwrap();
    let tenant = tenants::get(home.connection(), &TenantName::new("acme").unwrap()).await;
    let added = provision::resume(&small.fleet, &tenant.unwrap().unwrap()).await;
    assert_eq!(added.unwrap().built, By::Pool);
    // After its schema was handed out: the same command again.
    register(&small, "blue").await;
    let (digest, repeatables) = provision::stands(&small.fleet);
    let mut connection = small.connect().await.into();
    let blue = Ident::new("blue").unwrap();
    let given = pool::hand_out(&mut connection, &blue, digest, repeatables).await;
    assert!(given.unwrap().is_some());
    let added = add(&small.fleet, "blue").await;
    assert_eq!(added.tenant.state, TenantState::Active);
    assert_eq!(added.built, By::Migrations);
    // It is not handed out twice.
    let again = pool::hand_out(&mut connection, &blue, digest, repeatables).await;
    assert_eq!(again.unwrap(), None);
    assert_eq!(schemas(&mut small.connect().await).await.len(), 1);
}

#[tokio::test]
async fn a_schema_whose_tenant_was_taken_away_meanwhile_is_dropped() {
    let small = pooled(1, 1).await;
    register(&small, "acme").await;
    let mut home = small.fleet.home().await.unwrap();
    let name = TenantName::new("acme").unwrap();
    let tenant = tenants::get(home.connection(), &name)
        .await
        .unwrap()
        .unwrap();
    provision::retire(&small.fleet, &name).await.unwrap();
    let refused = provision::resume(&small.fleet, &tenant).await;
    assert!(
        matches!(refused, Err(ProvisionError::Unknown(_))),
        "{refused:?}"
    );
    let left = heads::present_oid(&mut small.connect().await.into(), name.schema()).await;
    assert_eq!(left.unwrap(), None);
}

#[tokio::test]
async fn a_pool_that_is_behind_is_not_handed_out_and_moved_or_made_anew() {
    let mut small = pooled(1, 2).await;
    let ahead = schemas(&mut small.connect().await).await;
    small.write("tenant/2-more.up.sql", "create table more ();");
    small.write("tenant/2-more.down.sql", "drop table more;");
    small = small.reopened();
    turn_on(&mut small.fleet, 2);
    assert_eq!(add(&small.fleet, "acme").await.built, By::Migrations);
    let kept = keep(&small.fleet).await.unwrap();
    assert_eq!((kept.ready, kept.moved, kept.made), (2, 2, 0));
    assert_eq!(schemas(&mut small.connect().await).await, ahead);
    assert_eq!(add(&small.fleet, "blue").await.built, By::Pool);
    assert_eq!(small.tables("blue").await, ["more", "t1"]);
    // What is applied there is in no file any more.
    small.write("tenant/2-more.up.sql", "create table most ();");
    small = small.reopened();
    turn_on(&mut small.fleet, 2);
    let kept = keep(&small.fleet).await.unwrap();
    assert_eq!((kept.ready, kept.dropped, kept.made), (2, 1, 2));
    assert_eq!(add(&small.fleet, "corp").await.built, By::Pool);
    assert_eq!(small.tables("corp").await, ["most", "t1"]);
    // Turned off: what is left is taken away.
    turn_on(&mut small.fleet, 0);
    keep(&small.fleet).await.unwrap();
    assert_eq!(schemas(&mut small.connect().await).await.len(), 0);
}

#[tokio::test]
async fn none_is_handed_out_while_somebody_is_at_work_on_it() {
    let small = pooled(1, 1).await;
    let name = schemas(&mut small.connect().await).await.remove(0);
    let mut other = small.connect().await;
    let lock =
        "select pg_advisory_lock((1953395321::bigint << 32) | to_regnamespace($1)::oid::bigint)";
    sqlx::query(lock)
        .bind(&name)
        .execute(&mut other)
        .await
        .unwrap();
    assert_eq!(add(&small.fleet, "acme").await.built, By::Migrations);
    drop(other);
    let mut connection = small.connect().await;
    until("the lock is let go of", async || {
        let held =
            "select count(*) from pg_locks where locktype = 'advisory' and classid = 1953395321";
        let held: i64 = sqlx::query_scalar(held)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        held == 0
    })
    .await;
    assert_eq!(add(&small.fleet, "blue").await.built, By::Pool);
}

#[tokio::test]
async fn a_set_that_uses_its_schemas_name_is_not_built_ahead() {
    for (script, what) in [
        (
            "create function own() returns text language sql as 'select 1'; do $$ begin execute format(
                 'create or replace function own() returns text language sql as %L', format('select %L', current_schema())); end $$;",
            "function own",
        ),
        (
            "create table settings (key text); insert into settings values (current_schema());",
            "a row of settings",
        ),
        (
            "create table t (); create function f() returns int language sql set search_path from current as 'select 1';",
            "function f",
        ),
        (
            "do $$ begin execute format('create view own as select %L as name', current_schema()); end $$;",
            "relation own",
        ),
        (
            "do $$ begin execute format('create table own (name text default %L)', current_schema()); end $$;",
            "column own.name",
        ),
        (
            "do $$ begin execute format('comment on schema %I is %L', current_schema(), current_schema()); end $$;",
            "a comment",
        ),
        (
            "do $$ begin execute format('create table %I ()', 'of_' || current_schema()); end $$;",
            "relation of_tenantry_pool_",
        ),
    ] {
        let small = small(0).await;
        small.write("tenant/1-own.up.sql", script);
        small.write("tenant/1-own.down.sql", "select 1;");
        let mut small = small.reopened();
        turn_on(&mut small.fleet, 2);
        match keep(&small.fleet).await {
            Err(ProvisionError::NamesItself(found)) => {
                assert!(found.starts_with(what), "{found}, and not {what}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert_eq!(schemas(&mut small.connect().await).await.len(), 0, "{what}");
        assert_eq!(add(&small.fleet, "acme").await.built, By::Migrations);
    }
}

#[tokio::test]
async fn what_has_no_name_in_it_can_be_built_ahead() {
    let small = small(0).await;
    small.write(
        "tenant/1-much.up.sql",
        "create table users (id serial primary key, name text default current_schema(), boss int references users,
                             check (id > 0), at timestamptz) ;
         create index on users (lower(name)) where id > 7;
         create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger touch before update on users for each row when (old.name is distinct from new.name) execute function touch();
         create rule quiet as on delete to users do instead nothing;
         create policy own on users using (name = current_schema());
         create materialized view names as select u.name, b.name as boss from users u join users b on b.id = u.boss;
         create domain positive as int check (value > 0);
         create function twice(x positive, y int default 1) returns int language sql begin atomic select x * y from users; end;
         create table parts (at int) partition by range (at); create table part partition of parts for values from (0) to (9);
         comment on table users is 'who';",
    );
    small.write("tenant/1-much.down.sql", "select 1;");
    let mut small = small.reopened();
    turn_on(&mut small.fleet, 1);
    keep(&small.fleet).await.unwrap();
    assert_eq!(add(&small.fleet, "acme").await.built, By::Pool);
    assert_eq!(add(&small.fleet, "blue").await.built, By::Migrations);
    assert_eq!(known(&small, "acme").await, known(&small, "blue").await);
}

#[tokio::test]
async fn the_pool_is_nobodys_to_everybody_else() {
    let small = pooled(1, 2).await;
    small.add("acme").await;
    let survey = Survey::take(&small.fleet).await.unwrap();
    assert_eq!((survey.strays.len(), survey.tenants.len()), (0, 1));
    let mut connection = small.connect().await.into();
    let load = heads::load(&mut connection, &small.fleet.shared_schema).await;
    assert_eq!(load.unwrap().tenants, 1);
    let mut connection = small.connect().await;
    let ahead = schemas(&mut connection).await;
    assert!(TenantName::new(ahead[0].clone()).is_err());
    let status = small.text(&["status"]);
    assert!(!status.contains("pool"), "{status}");
    let doctor = small.text(&["doctor"]);
    assert!(!doctor.contains(ahead[0].as_str()), "{doctor}");
    // A further release moves the tenants, and nobody else.
    small.write("tenant/2-more.up.sql", "create table more ();");
    small.write("tenant/2-more.down.sql", "drop table more;");
    let small = small.reopened();
    assert_eq!(
        small.go(tenantry::plan::Goal::Latest).await.scopes[0]
            .runs
            .len(),
        1
    );
    assert_eq!(small.tables(&ahead[0]).await, ["t1"]);
}

#[tokio::test]
async fn the_pool_does_not_hold_up_the_shared_schema() {
    let small = small(0).await;
    small.write(
        "shared/1-plans.up.sql",
        "create table plans (id int primary key);",
    );
    small.write("shared/1-plans.down.sql", "drop table plans;");
    small.write(
        "tenant/1-users.up.sql",
        "create table users (plan int references shared.plans);",
    );
    small.write("tenant/1-users.down.sql", "drop table users;");
    let mut small = small.reopened();
    turn_on(&mut small.fleet, 2);
    // Nobody is built ahead before what tenants need is there.
    let refused = keep(&small.fleet).await;
    assert!(
        matches!(refused, Err(ProvisionError::SharedBehind { .. })),
        "{refused:?}"
    );
    let report = go(&small.fleet, tenantry::plan::Goal::Latest, UP).await;
    assert!(report.is_complete());
    assert_eq!(keep(&small.fleet).await.unwrap().made, 2);
    assert_eq!(add(&small.fleet, "acme").await.built, By::Pool);
    let report = go(&small.fleet, tenantry::plan::Goal::Empty, DOWN).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(schemas(&mut small.connect().await).await.len(), 0);
}

#[tokio::test]
async fn as_many_are_built_ahead_as_there_were_new_tenants() {
    let mut small = pooled(1, 0).await;
    (
        small.fleet.provision.pool_min,
        small.fleet.provision.pool_max,
    ) = (1, 3);
    assert_eq!(keep(&small.fleet).await.unwrap().ready, 1);
    for name in ["a", "b"] {
        small.add(name).await;
    }
    assert_eq!(keep(&small.fleet).await.unwrap().ready, 2);
    for name in ["c", "d", "e"] {
        small.add(name).await;
    }
    assert_eq!(keep(&small.fleet).await.unwrap().ready, 3);
    small
        .run("update tenantry.tenants set created_at = created_at - interval '2 hours'")
        .await;
    // What is there stays.
    let kept = keep(&small.fleet).await.unwrap();
    assert_eq!((kept.ready, kept.dropped), (3, 0));
    // Two daemons at once make no more than that.
    small.fleet.provision.pool_min = 3;
    small.add("f").await;
    let (one, other) = join(keep(&small.fleet), keep(&small.fleet)).await;
    one.unwrap();
    other.unwrap();
    assert_eq!(schemas(&mut small.connect().await).await.len(), 3);
}

#[tokio::test]
async fn a_restored_pool_is_used_again_and_a_lost_one_forgotten() {
    let small = pooled(1, 2).await;
    // As after pg_dump and pg_restore, which deal out other OIDs.
    small
        .run("update tenantry.heads set schema_oid = schema_oid::bigint + 1000000; update tenantry.history set schema_oid = schema_oid::bigint + 1000000")
        .await;
    assert_eq!(add(&small.fleet, "acme").await.built, By::Migrations);
    keep(&small.fleet).await.unwrap();
    keep(&small.fleet).await.unwrap();
    assert_eq!(schemas(&mut small.connect().await).await.len(), 2);
    assert_eq!(add(&small.fleet, "blue").await.built, By::Pool);
    let name = schemas(&mut small.connect().await).await.remove(0);
    small.run(&format!("drop schema {name} cascade")).await;
    assert_eq!(add(&small.fleet, "corp").await.built, By::Migrations);
    keep(&small.fleet).await.unwrap();
    assert_eq!(keep(&small.fleet).await.unwrap().ready, 2);
    assert_eq!(add(&small.fleet, "dora").await.built, By::Pool);
}

#[tokio::test]
async fn none_is_built_ahead_where_a_rollout_is_at_work() {
    let small = pooled(1, 1).await;
    small
        .run(
            "insert into tenantry.rollouts (strategy, files, who, state) values ('{}', decode(repeat('00', 32), 'hex'), 'me', 'running');
             insert into tenantry.waves (rollout, number, kind, targets, budget) select id, 0, 'wave', 1, 0 from tenantry.rollouts;
             insert into tenantry.runs (rollout, wave, position, shard, schema_name, from_digest, from_applied)
             select id, 0, 0, 'main', 'x', decode(repeat('00', 32), 'hex'), 0 from tenantry.rollouts;",
        )
        .await;
    let shard = small.fleet.shards.iter().next().unwrap();
    let stop = CancellationToken::new();
    let kept = provision::keep(&small.fleet, shard, &stop).await.unwrap();
    assert_eq!(kept, None);
    // What is ready is handed out all the same.
    assert_eq!(add(&small.fleet, "acme").await.built, By::Pool);
    small
        .run("update tenantry.rollouts set state = 'paused'")
        .await;
    assert_eq!(keep(&small.fleet).await.unwrap().made, 1);
}

#[tokio::test]
async fn the_daemon_builds_ahead_and_the_command_says_so() {
    let shop = Shop::with(&[]).await;
    shop.write("tenantry.toml", "[provision]\npool_min = 2\npool_max = 4\n");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tenantry"));
    command
        .arg("serve")
        .current_dir(shop.path())
        .env("TENANTRY__HOME__URL", &shop.database.url)
        .env("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut daemon = command.spawn().unwrap();
    shop.wait_for("select count(*) = 2 from tenantry.pool")
        .await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let doctor = shop.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("24 checks are well"),
        "{}",
        doctor.screen()
    );
    let text = shop.run(&["tenant", "add", "acme"]);
    assert!(
        text.stdout.contains("at 1, built ahead, in"),
        "{}",
        text.screen()
    );
    let mut json = shop
        .run(&["tenant", "add", "blue", "--output", "json"])
        .json();
    json["created_at"] = "[time]".into();
    snapshots().bind(|| insta::assert_json_snapshot!("tenant_add_from_the_pool", json));
    assert_eq!(shop.run(&["status", "--check"]).code, 0);
}
