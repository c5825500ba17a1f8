//! A light and a heavy migration over a fleet: tenantry against PostgreSQL's own limit in the same run.
//!
//! The limit is pgbench sending each tenant one message with the least that the work needs: BEGIN, the settings, the DDL,
//! the same history row, COMMIT. The contenders take turns on the same server, with as many connections, on the same
//! tenants, each from connecting to the last COMMIT; fsync and synchronous_commit are on. The light migration is one ADD COLUMN, carried tenant by tenant and in
//! groups; the heavy one makes five tables and eight indexes.
//!
//! With `--daemon` a daemon carries the same as a rollout of one wave, in the place of `up` tenant by tenant: from the wave's
//! beginning to its end, connecting, claims and reports included. Planning is left out there, as it is of the others; the whole,
//! from the moment in which the rollout is asked for, is told besides.
//!
//! `cargo bench --bench fanout -- --tenants 1000 --heavy-tenants 200 --connections 4 --rounds 5`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that meets an error has failed, and it prints what it measured"
)]

mod support;

use std::{fs, path::Path, process::Command, time::Duration};

use clap::Parser;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use support::{
    Bench,
    fleet::{fleet, settings, sign_up},
    median, rollout,
};
use tenantry::{
    config::Portion,
    migration::Scope,
    plan::Goal,
    travel::{Request, Standing, travel},
};
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Options {
    /// How many tenants.
    #[arg(long, default_value_t = 1000)]
    tenants: usize,
    /// How many of them get the heavy migration.
    #[arg(long, default_value_t = 200)]
    heavy_tenants: usize,
    /// How many connections each contender has.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How often each contender runs; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Let a daemon carry a rollout, instead of `up` one tenant after the other.
    #[arg(long)]
    daemon: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A migration that every tenant gets.
struct Work {
    name: &'static str,
    tenants: usize,
    /// Its text; `N` stands for a number that is another one each time.
    up: &'static str,
    /// Takes it back.
    down: &'static str,
}

const LIGHT: (&str, &str, &str) = (
    "light",
    "alter table items add column column_N integer;",
    "alter table items drop column column_N;",
);

const HEAVY: (&str, &str, &str) = (
    "heavy",
    "create table customers_N (id bigint primary key, name text not null, email text);
     create index customers_N_by_name on customers_N (name);
     create index customers_N_by_email on customers_N (email);
     create table products_N (id bigint primary key, name text not null, price numeric);
     create index products_N_by_name on products_N (name);
     create table orders_N (id bigint primary key, customer bigint, at timestamptz);
     create index orders_N_by_customer on orders_N (customer);
     create index orders_N_by_time on orders_N (at);
     create table lines_N (id bigint primary key, order_id bigint, product bigint);
     create index lines_N_by_order on lines_N (order_id);
     create index lines_N_by_product on lines_N (product);
     create table payments_N (id bigint primary key, order_id bigint, amount numeric);
     create index payments_N_by_order on payments_N (order_id);",
    "drop table customers_N, products_N, orders_N, lines_N, payments_N;",
);

/// What one contender reached, in tenants a second, a round each.
#[derive(Default)]
struct Rates(Vec<f64>);

/// The figures of one migration.
struct Measured {
    /// `up` one tenant after the other, or the daemon.
    first: Rates,
    grouped: Rates,
    limit: Rates,
    /// The daemon, with the planning.
    whole: Rates,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::parse();
    for tenants in [options.tenants, options.heavy_tenants] {
        assert!(
            tenants.is_multiple_of(options.connections) && tenants <= options.tenants,
            "--tenants and --heavy-tenants must be multiples of --connections, and the second no more than the first"
        );
    }
    let bench = Bench::start().await;
    let files = tempfile::tempdir().unwrap();
    sign_up(
        bench.url(),
        &fleet(bench.url(), files.path(), options.connections),
        options.tenants,
    )
    .await;
    println!(
        "{} tenants, {} with the heavy migration; {} connections; postgres: {}",
        options.tenants,
        options.heavy_tenants,
        options.connections,
        bench.kind()
    );
    // The daemon is told by labels who gets the heavy one.
    let mut connection = PgConnection::connect(bench.url()).await.unwrap();
    sqlx::query(
        "update tenantry.tenants set labels = '{\"heavy\": \"yes\"}' where substr(name, 7)::integer < $1",
    )
    .bind(i32::try_from(options.heavy_tenants).unwrap())
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let mut contest = Contest {
        bench: &bench,
        options: &options,
        files: files.path(),
        number: 0,
    };
    let work = |(name, up, down), tenants| Work {
        name,
        tenants,
        up,
        down,
    };
    let light = contest.measure(&work(LIGHT, options.tenants)).await;
    let heavy = contest.measure(&work(HEAVY, options.heavy_tenants)).await;
    let mut figures = json!({
        "bench": "fanout",
        "tenants": options.tenants,
        "heavy_tenants": options.heavy_tenants,
        "connections": options.connections,
        "rounds": options.rounds,
        "limit_per_second": light.limit.median(),
        "grouped_per_second": light.grouped.median(),
        "grouped_ratio": light.grouped.over(&light.limit).median(),
        "grouped_ratio_spread": light.grouped.over(&light.limit).spread(),
        "heavy_limit_per_second": heavy.limit.median(),
        "heavy_per_second": heavy.grouped.median(),
        "heavy_ratio": heavy.grouped.over(&heavy.limit).median(),
        "heavy_ratio_spread": heavy.grouped.over(&heavy.limit).spread(),
    });
    let more = match options.daemon {
        true => json!({
            "daemon_per_second": light.first.median(),
            "daemon_ratio": light.first.over(&light.limit).median(),
            "daemon_ratio_spread": light.first.over(&light.limit).spread(),
            "daemon_whole_ratio": light.whole.over(&light.limit).median(),
            "heavy_daemon_ratio": heavy.first.over(&heavy.limit).median(),
            "heavy_daemon_ratio_spread": heavy.first.over(&heavy.limit).spread(),
            "heavy_daemon_whole_ratio": heavy.whole.over(&heavy.limit).median(),
        }),
        false => json!({
            "tenants_per_second": light.first.median(),
            "ungrouped_ratio": light.first.over(&light.limit).median(),
            "ungrouped_ratio_spread": light.first.over(&light.limit).spread(),
            "heavy_ungrouped_ratio": heavy.first.over(&heavy.limit).median(),
        }),
    };
    let all = figures.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    println!("{figures}");
    bench.stop().await;
}

struct Contest<'a> {
    bench: &'a Bench,
    options: &'a Options,
    files: &'a Path,
    /// Of the migration that was measured last.
    number: usize,
}

impl Contest<'_> {
    /// The contenders take turns, each round begun by another one.
    async fn measure(&mut self, work: &Work) -> Measured {
        let mut measured = Measured {
            first: Rates::default(),
            grouped: Rates::default(),
            limit: Rates::default(),
            whole: Rates::default(),
        };
        println!(
            "\n{:<5}  {:>12}  {:>12}  {:>12}  {:>9}  {:>7}",
            work.name,
            if self.options.daemon {
                "daemon/s"
            } else {
                "one by one/s"
            },
            "grouped/s",
            "pgbench/s",
            if self.options.daemon {
                "daemon"
            } else {
                "1 by 1"
            },
            "grouped"
        );
        // The first round warms all up and does not count.
        for round in 0..=self.options.rounds {
            let (mut rates, mut whole) = ([0.0; 3], 0.0);
            for turn in 0..3 {
                let contender = (round + turn) % 3;
                rates[contender] = match contender {
                    0 if self.options.daemon => {
                        let (waves, all) = self.daemon(work).await;
                        whole = all;
                        waves
                    }
                    0 => self.tenantry(work, Duration::ZERO).await,
                    1 => self.tenantry(work, Duration::from_millis(50)).await,
                    _ => self.pgbench(work).await,
                };
            }
            let [first, grouped, limit] = rates;
            println!(
                "{round:>5}  {first:>12.0}  {grouped:>12.0}  {limit:>12.0}  {:>9.2}  {:>7.2}{}",
                first / limit,
                grouped / limit,
                if round == 0 { "  (warming up)" } else { "" }
            );
            if round > 0 {
                measured.first.0.push(first);
                measured.grouped.0.push(grouped);
                measured.limit.0.push(limit);
                measured.whole.0.push(whole);
            }
        }
        measured
    }

    /// Writes the next migration.
    fn write(&mut self, work: &Work) {
        self.number += 1;
        let file = |direction: &str| {
            let name = format!("tenant/{:04}-{}.{direction}.sql", self.number, work.name);
            self.files.join(name)
        };
        fs::write(file("up"), numbered(work.up, self.number)).unwrap();
        fs::write(file("down"), numbered(work.down, self.number)).unwrap();
    }

    /// Tenants a second in the waves, and in all from the moment in which the rollout is asked for.
    async fn daemon(&mut self, work: &Work) -> (f64, f64) {
        self.write(work);
        let settings = settings(self.bench.url(), self.files, self.options.connections);
        let selector = (work.tenants < self.options.tenants).then_some("label:heavy=yes");
        let took = rollout::carry(&settings, selector, 1).await;
        self.clear(work).await;
        let rate = |seconds: f64| work.tenants as f64 / seconds;
        (rate(took[0].waves), rate(took[0].all))
    }

    /// Tenants a second, from the first message to the last, connecting included.
    async fn tenantry(&mut self, work: &Work, group_time: Duration) -> f64 {
        self.write(work);
        let mut fleet = fleet(self.bench.url(), self.files, self.options.connections);
        fleet.limits.group_time = group_time;
        let select = |standing: &Standing| {
            let name = standing.target.schema.as_str();
            let number: usize = name.strip_prefix("bench_").unwrap().parse().unwrap();
            number < work.tenants
        };
        let request = Request {
            goal: Goal::Latest,
            scopes: &[Scope::Tenant],
            select: &select,
            max_failures: Portion::Count(0),
        };
        let report = travel(&fleet, &request, &CancellationToken::new(), &())
            .await
            .unwrap();
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(report.scopes[0].done(), work.tenants);
        let rate = work.tenants as f64 / report.scopes[0].elapsed.as_secs_f64();
        self.clear(work).await;
        rate
    }

    /// Tenants a second, connecting included.
    async fn pgbench(&mut self, work: &Work) -> f64 {
        self.number += 1;
        let zeros = "00".repeat(32);
        let ddl = in_one_message(&numbered(work.up, self.number));
        let script = format!(
            "BEGIN \\; SET LOCAL lock_timeout = 2000 \\; SET LOCAL search_path = \"bench_:tenant\" \\; {ddl} \\; \
             INSERT INTO tenantry.history (schema_oid, schema_name, version, name, direction, up_checksum, down_checksum, \
             state, how, revision, fence, who, started_at, finished_at, statements_done) VALUES \
             ('bench_:tenant'::regnamespace, 'bench_:tenant', '{version}', 'limit', 'up', decode('{zeros}', 'hex'), \
             decode('{zeros}', 'hex'), 'failed', 'run', {version}, 0, 'pgbench', clock_timestamp(), clock_timestamp(), 1) \
             \\; COMMIT;\n",
            version = self.number,
        );
        let rate = self.run_pgbench(work, &script);
        self.clear(work).await;
        rate
    }

    fn run_pgbench(&self, work: &Work, statements: &str) -> f64 {
        let share = work.tenants / self.options.connections;
        let script = self.files.join("limit.sql");
        fs::write(
            &script,
            format!(
                "\\set tenant :client_id * {share} + :done\n\\set done :done + 1\n{statements}"
            ),
        )
        .unwrap();
        let output = Command::new(support::program("pgbench"))
            .args(["-n", "-M", "simple", "-D", "done=0", "-j", "1"])
            .args(["-c", &self.options.connections.to_string()])
            .args(["-t", &share.to_string()])
            .args(["-f".as_ref(), script.as_os_str()])
            .arg(self.bench.url())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "pgbench: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let figure = |before: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(before));
            let figure = line.unwrap().split_whitespace().next().unwrap();
            figure.parse().unwrap()
        };
        // pgbench leaves the time to connect out of its rate.
        let connecting = figure("initial connection time = ") / 1000.0;
        let running = work.tenants as f64 / figure("tps = ");
        work.tenants as f64 / (connecting + running)
    }

    /// Takes back what was just measured, so that everybody finds catalogs of the same size.
    async fn clear(&self, work: &Work) {
        let down = in_one_message(&numbered(work.down, self.number));
        self.run_pgbench(
            work,
            &format!(
                "BEGIN \\; SET LOCAL search_path = \"bench_:tenant\" \\; {down} \\; COMMIT;\n"
            ),
        );
        let mut connection = PgConnection::connect(self.bench.url()).await.unwrap();
        for settle in [
            "vacuum pg_attribute, pg_class, pg_type, pg_index, pg_constraint, pg_depend, tenantry.heads",
            "checkpoint",
        ] {
            sqlx::raw_sql(settle)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection.close().await.unwrap();
    }
}

impl Rates {
    fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    fn median(&self) -> f64 {
        median(&self.0)
    }

    fn spread(&self) -> [f64; 2] {
        let rates = self.0.iter().copied();
        [
            rates.clone().fold(f64::MAX, f64::min),
            rates.fold(0.0, f64::max),
        ]
    }
}

fn numbered(text: &str, number: usize) -> String {
    text.replace("_N", &format!("_{number}"))
}

/// pgbench sends what `\;` joins as one message.
fn in_one_message(statements: &str) -> String {
    let lines: Vec<&str> = statements.lines().map(str::trim).collect();
    lines.join(" ").trim_end_matches(';').replace(';', " \\;")
}
