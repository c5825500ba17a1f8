//! Backfills: every row exactly once, whatever is cut off; at a bounded rate; over keys of any type.

use std::{path::Path, time::Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tenantry::{
    backfill::{self, Definition, Ended, Pace, Report, Request, Run},
    config::{Portion, Settings},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    provision,
    sql::Ident,
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
    travel,
};
use tokio_util::sync::CancellationToken;

use crate::support::{Database, database};

const WEIRD: &str = r#"we"ird'; drop schema public cascade--\"#;

/// A fleet of one shard whose tenants have the tables that `up` makes.
struct Ground {
    database: Database,
    fleet: Fleet,
    _files: TempDir,
}

impl Ground {
    async fn new(up: &str, tenants: &[&str]) -> Self {
        let database = database().await;
        let files = TempDir::new().unwrap();
        let directory = |name: &str| {
            let path = files.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path.display().to_string()
        };
        let (shared, tenant) = (directory("shared"), directory("tenant"));
        std::fs::write(Path::new(&tenant).join("1-tables.up.sql"), up).unwrap();
        let down = Path::new(&tenant).join("1-tables.down.sql");
        std::fs::write(down, "select 1").unwrap();
        let environment = [
            ("TENANTRY__HOME__URL", database.url.clone()),
            ("TENANTRY__MIGRATIONS__SHARED", shared),
            ("TENANTRY__MIGRATIONS__TENANT", tenant),
        ];
        let fleet = Fleet::open(&Settings::load(None, environment).unwrap()).unwrap();
        let request = travel::Request {
            goal: Goal::Latest,
            scopes: &[Scope::Shared],
            select: &|_| true,
            max_failures: Portion::Count(0),
        };
        let stop = CancellationToken::new();
        travel::travel(&fleet, &request, &stop, &()).await.unwrap();
        for name in tenants {
            let (name, shard) = (TenantName::new(*name).unwrap(), ShardName::new("main"));
            provision::add(&fleet, &name, &shard, &Labels::new())
                .await
                .unwrap();
        }
        Self {
            database,
            fleet,
            _files: files,
        }
    }

    async fn run(&self, definition: &Definition, stop: &CancellationToken) -> Report {
        self.try_run(definition, stop, false).await.unwrap()
    }

    async fn try_run(
        &self,
        definition: &Definition,
        stop: &CancellationToken,
        restart: bool,
    ) -> Result<Report, backfill::BackfillError> {
        let request = Request {
            definition,
            select: &|_| true,
            restart,
            max_failures: Portion::Count(0),
        };
        backfill::run(&self.fleet, &request, stop, &()).await
    }

    /// The one text that a query over a tenant's tables gives.
    async fn text(&self, tenant: &str, query: &str) -> String {
        let mut connection = self.database.connect().await;
        let path = format!("set search_path = {}", Ident::new(tenant).unwrap());
        sqlx::raw_sql(AssertSqlSafe(path))
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query_scalar(AssertSqlSafe(format!("select ({query})::text")))
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }
}

fn definition(text: &str) -> Definition {
    let pace = Pace {
        batch: 100,
        rate: 1_000_000,
    };
    Definition::parse("count", Path::new("count.sql"), text.to_owned(), pace).unwrap()
}

fn failure(run: &Run) -> String {
    match &run.ended {
        Ended::Failed(failure) => failure.to_string(),
        ended => panic!("{ended:?}"),
    }
}

/// Ends sessions of tenantry as an administrator would. Returns how many.
async fn terminate(connection: &mut PgConnection) -> usize {
    let ended: Vec<bool> = sqlx::query_scalar(
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'tenantry' and pid <> pg_backend_pid()",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    ended.len()
}

/// Waits until so many rows are committed, over all tenants.
async fn reach(connection: &mut PgConnection, rows: i64) {
    let reached = async {
        let query = "select coalesce(sum(rows_done), 0)::bigint from tenantry.backfill_cursors";
        while sqlx::query_scalar::<_, i64>(query)
            .fetch_one(&mut *connection)
            .await
            .unwrap()
            < rows
        {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, reached).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_exactly_once_whatever_is_cut_off() {
    let up = "create table t (id bigint primary key, v int not null default 0);
              insert into t (id) select 7 * n from generate_series(1, 3000) n";
    let ground = Ground::new(up, &["acme", WEIRD]).await;
    // Slow enough for a busy machine to interfere in time.
    let text =
        "-- tenantry: backfill table=t batch=50 rate=1500/s\nupdate t set v = v + 1 where {batch}";
    let definition = definition(text);
    let mut connection = ground.database.connect().await;
    let (mut rounds, mut ended, mut rows) = (0, 0, 0);
    loop {
        let stop = CancellationToken::new();
        let interfere = async {
            // A little later each time, so that it meets the run at all sorts of places.
            reach(&mut connection, rounds * 700 + 200).await;
            ended += terminate(&mut connection).await;
            reach(&mut connection, rounds * 700 + 500).await;
            if rounds < 6 {
                stop.cancel();
            }
        };
        let (report, ()) = futures::join!(ground.run(&definition, &stop), interfere);
        rounds += 1;
        rows += report.rows();
        assert_eq!(report.failures().count(), 0, "{report:#?}");
        if report.is_complete() {
            break;
        }
    }
    assert!(rounds > 2 && ended > 2, "{rounds} rounds, {ended} sessions");
    for tenant in ["acme", WEIRD] {
        let counts = "select (min(v), max(v), count(*)) from t";
        assert_eq!(ground.text(tenant, counts).await, "(1,1,3000)");
    }
    let done =
        "select string_agg((done, rows_done, batches)::text, ' ') from tenantry.backfill_cursors";
    assert_eq!(ground.text("acme", done).await, "(t,3000,60) (t,3000,60)");
    // A batch whose reply was lost with its session is done all the same, and counted by nobody.
    assert!(rows <= 6000);
    let again = ground.run(&definition, &CancellationToken::new()).await;
    assert!(again.runs.iter().all(|run| run.ended == Ended::Before));
    assert_eq!((again.rows(), again.done()), (0, 2));
    let survey = travel::Survey::take(&ground.fleet).await.unwrap();
    let progress = backfill::progress(&ground.fleet, &survey).await.unwrap();
    assert_eq!((progress[0].done, progress[0].rows_done), (2, 6000));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_share_the_work() {
    let up = "create table t (id int primary key, v int not null default 0);
              insert into t (id) select generate_series(1, 2000)";
    let ground = Ground::new(up, &["acme"]).await;
    let text = "-- tenantry: backfill table=t batch=20\nupdate t set v = v + 1 where {batch}";
    let definition = definition(text);
    let stop = CancellationToken::new();
    let (one, other) = futures::join!(
        ground.run(&definition, &stop),
        ground.run(&definition, &stop)
    );
    assert!(
        one.is_complete() && other.is_complete(),
        "{one:#?} {other:#?}"
    );
    assert_eq!(
        ground.text("acme", "select (min(v), max(v)) from t").await,
        "(1,1)"
    );
}

#[tokio::test]
async fn goes_no_faster_than_the_rate() {
    let up = "create table t (id int primary key, v int not null default 0);
              insert into t (id) select generate_series(1, 1000)";
    let ground = Ground::new(up, &["acme", "bolt"]).await;
    let text =
        "-- tenantry: backfill table=t batch=100 rate=1500/s\nupdate t set v = v + 1 where {batch}";
    let definition = definition(text);
    let start = Instant::now();
    let report = ground.run(&definition, &CancellationToken::new()).await;
    let elapsed = start.elapsed().as_secs_f64();
    assert!(report.is_complete(), "{report:#?}");
    assert_eq!(report.rows(), 2000);
    // The bucket is full at first and holds a quarter of a second's rows.
    let most = 1500.0 * elapsed + 375.0;
    assert!(report.rows() as f64 <= most, "{elapsed} s");
}

#[tokio::test]
async fn takes_keys_of_any_type() {
    let up = r#"create domain code as text;
        create table t (v int not null default 0, id {type} primary key);
        insert into t (id) select {value} from generate_series(1, 250) n;"#;
    for (kind, value) in [
        ("uuid", "gen_random_uuid()"),
        ("text", r"chr(31 + n) || '''\' || n"),
        ("text collate \"C\"", "repeat('é', n)"),
        ("varchar(20)", "' ' || n || ' '"),
        ("code", "'x' || n"),
        (
            "timestamptz",
            "'epoch'::timestamptz + n * interval '1.000001 day'",
        ),
        ("numeric", "n / 7.0"),
        ("float8", "n / 7.0"),
        ("bytea", "convert_to(n::text, 'utf8')"),
    ] {
        let up = up.replace("{type}", kind).replace("{value}", value);
        let ground = Ground::new(&up, &[WEIRD]).await;
        let text = "-- tenantry: backfill table=t batch=7\nupdate t set v = v + 1 where {batch}";
        let report = ground
            .run(&definition(text), &CancellationToken::new())
            .await;
        assert!(report.is_complete(), "{kind}: {report:#?}");
        let counts = ground.text(WEIRD, "select (min(v), max(v), count(*)) from t");
        assert_eq!(counts.await, "(1,1,250)", "{kind}");
    }
}

#[tokio::test]
async fn says_what_a_tenant_lacks() {
    let up = "create table pair (a int, b int, primary key (a, b)); create table none (a int unique);
              create view seen as select 1 as id; create table t (id int primary key, email text not null unique);
              insert into t values (1, 'a'), (2, 'b')";
    let ground = Ground::new(up, &["acme"]).await;
    for (header, message) in [
        (
            "table=nope",
            "there is no table nope in the schema acme; apply the migration that makes it, then go on",
        ),
        ("table=seen", "seen in the schema acme is no table"),
        (
            "table=pair",
            "the primary key of pair in the schema acme has 2 columns; name one that is unique by itself in the header, key=COLUMN",
        ),
        (
            "table=none",
            "none in the schema acme has no primary key; name a unique column in the header, key=COLUMN",
        ),
        (
            "table=none key=a",
            "a of none in the schema acme is no key: that needs NOT NULL and a unique index of its own",
        ),
    ] {
        let text = format!("-- tenantry: backfill {header}\nselect 1 where {{batch}}");
        let report = ground
            .run(&definition(&text), &CancellationToken::new())
            .await;
        assert_eq!(failure(&report.runs[0]), message, "{header}");
    }
    let text = "-- tenantry: backfill table=t key=email\nupdate t set id = 1 / (id - 2)\nwhere {batch} and nope";
    let report = ground
        .run(&definition(text), &CancellationToken::new())
        .await;
    assert_eq!(
        failure(&report.runs[0]),
        "count.sql:3:19: column \"nope\" does not exist (SQLSTATE 42703)"
    );
    let text = text.replace(" and nope", "");
    let changed = ground
        .try_run(&definition(&text), &CancellationToken::new(), false)
        .await;
    let refused = changed.unwrap_err().to_string();
    assert!(
        refused.ends_with("`tenantry backfill start count --restart`"),
        "{refused}"
    );
    let report = ground
        .try_run(&definition(&text), &CancellationToken::new(), true)
        .await
        .unwrap();
    assert_eq!(
        failure(&report.runs[0]),
        "count.sql:2:1: division by zero (SQLSTATE 22012)"
    );
    // What failed changed nothing, so it can be done when its cause is gone.
    let mut connection = PgConnection::connect(&ground.database.url).await.unwrap();
    sqlx::raw_sql("update acme.t set id = 3 where id = 2")
        .execute(&mut connection)
        .await
        .unwrap();
    let report = ground
        .run(&definition(&text), &CancellationToken::new())
        .await;
    assert!(report.is_complete(), "{report:#?}");
}
