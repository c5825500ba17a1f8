//! A fleet that is run by the real program, with traps in which a run can be caught at a known place.

use std::{
    fs::File,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;

use crate::support::{
    Database, database,
    fleet::{empty_tenants, with_sets},
    tenantry, until_within,
};

/// Tenants, and migrations that cannot be run twice without a trace.
pub(super) struct Ground {
    pub(super) database: Database,
    pub(super) tenants: usize,
    /// How many migrations there are: version 1 to this one.
    pub(super) migrations: i32,
    kinds: Vec<Kind>,
    directory: TempDir,
}

/// A run over many tenants may take so long to come somewhere.
pub(super) const LONG: Duration = Duration::from_secs(300);

/// Where a run can be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trap {
    /// Between two statements of a migration, which has done half of its work by then.
    Half,
    /// Where the record that it is done is about to be written.
    Record,
    /// Where a statement of a migration that is no transaction is about to be recorded as begun or done.
    Progress,
}

/// What a migration consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Data and structure, in one transaction a tenant.
    Whole,
    /// The same, and no transaction.
    Alone,
    /// Structure and nothing else: several tenants share a transaction.
    Light,
}

/// A setting: every tenant is carried alone, whatever is caught in a trap.
pub(super) const SINGLY: (&str, &str) = ("TENANTRY__APPLY__GROUP_TIME", "0s");

/// Settings: one tenant alone, which is the first by name, then the others in groups, one after the other.
pub(super) const IN_GROUPS: [(&str, &str); 2] = [
    ("TENANTRY__APPLY__GROUP_TIME", "10s"),
    ("TENANTRY__APPLY__CONCURRENCY", "1"),
];

/// A light migration leaves this in a check, with its version added: run twice, it leaves two.
pub(super) const LIGHT: i32 = 1_000_000;

/// The schema of a tenant, by its number from 1.
pub(super) fn schema(tenant: usize) -> String {
    format!("tenant_{tenant}")
}

impl Ground {
    /// So many tenants at nothing applied.
    pub(super) async fn of(tenants: usize) -> Self {
        Self::on(database().await, tenants).await
    }

    /// The same in this database.
    pub(super) async fn on(database: Database, tenants: usize) -> Self {
        let directory = TempDir::new().unwrap();
        for set in ["shared", "tenant"] {
            std::fs::create_dir(directory.path().join(set)).unwrap();
        }
        let fleet = with_sets(
            &database.url,
            &directory.path().join("shared"),
            &directory.path().join("tenant"),
        );
        empty_tenants(&database, &fleet, tenants).await;
        let ground = Self {
            database,
            tenants,
            migrations: 0,
            kinds: Vec::new(),
            directory,
        };
        ground.sql(TRAPS).await;
        ground
    }

    /// What a migration consists of, by its version.
    pub(super) fn kind(&self, version: i32) -> Kind {
        self.kinds[usize::try_from(version - 1).unwrap()]
    }

    /// One more migration that is not light; every other one of these is no transaction.
    pub(super) fn grow(&mut self) {
        let heavy = self.kinds.iter().rfind(|kind| **kind != Kind::Light);
        let version = self.add(match heavy {
            Some(Kind::Whole) => Kind::Alone,
            _ => Kind::Whole,
        });
        let first = if version == 1 { FIRST } else { "" };
        let half = "select chaos.pause(current_schema(), 'half')";
        let (header, work) = if self.kind(version) == Kind::Alone {
            let work = format!(
                "create table t{version} (id int primary key, note text);
                 create index concurrently i{version} on things (note);
                 {half};"
            );
            ("-- tenantry: no-transaction\n", work)
        } else {
            let work = format!(
                "create table t{version} (id int primary key, note text);
                 {half};
                 create index i{version} on t{version} (note);"
            );
            ("", work)
        };
        self.write(&format!(
            "{header}{first}insert into log (version) values ({version});
             {work}
             update total set n = (n * 31 + {version}) % 1000003;",
        ));
    }

    /// One more migration that is light.
    pub(super) fn grow_light(&mut self) {
        let version = self.add(Kind::Light);
        self.write(&format!(
            "create table t{version} (id int primary key, note text);
             create index i{version} on t{version} (note);
             alter table log add check (version <> {});",
            LIGHT + version
        ));
    }

    fn add(&mut self, kind: Kind) -> i32 {
        self.kinds.push(kind);
        self.migrations += 1;
        self.migrations
    }

    fn write(&self, up: &str) {
        let version = self.migrations;
        let file = |end: &str| {
            self.directory
                .path()
                .join(format!("tenant/{version}-m.{end}.sql"))
        };
        std::fs::write(file("up"), up).unwrap();
        std::fs::write(file("down"), "select 1;").unwrap();
    }

    /// `up`, as a process of its own.
    pub(super) fn up(&self) -> Up {
        self.up_with(&[])
    }

    /// The same, with settings.
    pub(super) fn up_with(&self, settings: &[(&str, &str)]) -> Up {
        self.spawn(&self.database.url, settings)
    }

    /// The same, by another way to the server.
    pub(super) fn spawn(&self, url: &str, settings: &[(&str, &str)]) -> Up {
        let said = tempfile::Builder::new()
            .tempfile_in(self.directory.path())
            .unwrap();
        let (said, path) = said.keep().unwrap();
        let child = self.command(url, settings, &said).spawn().unwrap();
        Up {
            child: Some(child),
            said: path,
        }
    }

    fn command(&self, url: &str, settings: &[(&str, &str)], said: &File) -> Command {
        let mut command = tenantry();
        command
            .args(["up", "--max-failures", "0"])
            .current_dir(self.directory.path())
            .env("TENANTRY__HOME__URL", url)
            .env("TENANTRY__MIGRATIONS__SHARED", "shared")
            .env("TENANTRY__MIGRATIONS__TENANT", "tenant")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said.try_clone().unwrap());
        command
    }

    pub(super) async fn connect(&self) -> PgConnection {
        self.database.connect().await
    }

    pub(super) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    pub(super) async fn set(&self, trap: Trap, tenant: usize) {
        sqlx::query("insert into chaos.traps values ($1, $2)")
            .bind(schema(tenant))
            .bind(trap.point())
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    /// Waits until so many runs are caught.
    pub(super) async fn caught(&self, runs: i64) {
        let mut connection = self.connect().await;
        until_within(LONG, "somebody is caught", async || {
            caught(&mut connection).await == runs
        })
        .await;
    }

    /// Whether somebody is caught with several tenants in one transaction.
    pub(super) async fn caught_in_group(&self) -> bool {
        sqlx::query_scalar(
            "select exists (select from pg_stat_activity where datname = current_database()
                and application_name = 'tenantry' and wait_event = 'PgSleep' and query like '%tenantry.enter_group(%')",
        )
        .fetch_one(&mut self.connect().await)
        .await
        .unwrap()
    }

    /// Waits until a run is in the middle of building an index concurrently.
    pub(super) async fn building(&self) {
        let mut connection = self.connect().await;
        until_within(LONG, "an index is being built", async || {
            sqlx::query_scalar(
                "select exists (select from pg_stat_activity where datname = current_database()
                    and application_name = 'tenantry' and wait_event_type = 'Lock' and query ilike '%index concurrently%')",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap()
        })
        .await;
    }

    /// A transaction that every index of this tenant which is built concurrently has to wait for.
    pub(super) async fn writer(&self, tenant: usize) -> PgConnection {
        let mut connection = self.connect().await;
        let write = format!(
            "begin; update {}.things set note = note where id = 1",
            schema(tenant)
        );
        sqlx::raw_sql(AssertSqlSafe(write))
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// Lets everybody go.
    pub(super) async fn spring(&self) {
        self.sql("delete from chaos.traps").await;
    }

    /// Waits until the server has noticed that a killed run is no more.
    pub(super) async fn quiet(&self) {
        let mut connection = self.connect().await;
        until_within(LONG, "no session of a killed run is left", async || {
            sqlx::query_scalar(
                "select not exists (select from pg_stat_activity
                  where datname = current_database() and application_name = 'tenantry')",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap()
        })
        .await;
    }
}

async fn caught(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity
          where datname = current_database() and application_name = 'tenantry' and wait_event = 'PgSleep'",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

impl Trap {
    fn point(self) -> &'static str {
        match self {
            Self::Half => "half",
            Self::Record => "record",
            Self::Progress => "progress",
        }
    }
}

/// What the first migration makes beside what each of them does. The total tells in which order who was added how often.
const FIRST: &str = "create table log (position bigint generated always as identity primary key, version int not null);
    create table total (n int not null);
    insert into total values (0);
    create table things (id int primary key, note text);
    insert into things select n, 'note ' || n from generate_series(1, 100) n;
    ";

/// Whoever comes to a trap waits in it until it is taken away, or until his session ends.
const TRAPS: &str = "create schema chaos;
    create table chaos.traps (schema_name text, point text, primary key (schema_name, point));
    create function chaos.pause(p_schema text, p_point text) returns void language plpgsql as $$
    begin
        while exists (select from chaos.traps t where t.schema_name = p_schema and t.point = p_point) loop
            perform pg_catalog.pg_sleep(0.05);
        end loop;
    end $$;
    create function chaos.before_record() returns trigger language plpgsql as $$
    begin
        perform chaos.pause(new.schema_name, case new.state when 'applied' then 'record' else 'progress' end);
        return new;
    end $$;
    create trigger chaos before insert or update on tenantry.history for each row execute function chaos.before_record();";

/// A run of `up`. It is killed when it is dropped.
pub(super) struct Up {
    child: Option<Child>,
    said: std::path::PathBuf,
}

impl Up {
    /// SIGKILL. Whether it was still running.
    pub(super) fn kill(mut self) -> bool {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap().code().is_none()
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().unwrap();
        child.try_wait().unwrap().is_some()
    }

    /// Waits for its end: the exit code, and what it said.
    pub(super) async fn end(mut self) -> (i32, String) {
        until_within(LONG, "the run has ended", async || self.has_ended()).await;
        let status = self.child.take().unwrap().wait().unwrap();
        let said = std::fs::read_to_string(&self.said).unwrap();
        (status.code().unwrap(), said)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A test that fails leaves nobody behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
