use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::PgConnection;
use tempfile::TempDir;
use tenantry::{
    config::{Portion, Settings},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    provision,
    store::{
        heads::{self, Pinned},
        history::{self, Entry},
        tenants::Labels,
    },
    tenant::{ShardName, TenantName},
    travel::{Report, Request, Standing, Survey, travel},
};
use tokio_util::sync::CancellationToken;

use super::{Database, database};

/// A fleet with sets of its own, which a test may change.
pub(crate) struct Small {
    pub(crate) fleet: Fleet,
    pub(crate) database: Database,
    directory: TempDir,
}

/// A fleet on a new database. Each migration of the tenants' set `1-t1`, `2-t2` … makes the table of its name.
pub(crate) async fn small(migrations: usize) -> Small {
    let (database, directory) = (database().await, tempfile::tempdir().unwrap());
    for set in ["shared", "tenant"] {
        std::fs::create_dir(directory.path().join(set)).unwrap();
    }
    let small = Small {
        fleet: open(&database, directory.path()),
        database,
        directory,
    };
    for number in 1..=migrations {
        let (up, down) = (
            format!("create table t{number} ();"),
            format!("drop table t{number};"),
        );
        small.write(&format!("tenant/{number}-t{number}.up.sql"), &up);
        small.write(&format!("tenant/{number}-t{number}.down.sql"), &down);
    }
    small.reopened()
}

fn open(database: &Database, directory: &Path) -> Fleet {
    let list = |name: &str| directory.join(name).display().to_string();
    let environment = [
        ("TENANTRY__HOME__URL", database.url.clone()),
        ("TENANTRY__MIGRATIONS__SHARED", list("shared")),
        ("TENANTRY__MIGRATIONS__TENANT", list("tenant")),
    ];
    let mut fleet = Fleet::open(&Settings::load(None, environment).unwrap()).unwrap();
    fleet.limits.busy_wait = Duration::from_millis(1);
    fleet
}

impl Small {
    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.directory.path().join(file), text).unwrap();
    }

    /// What stands in a file; nothing where there is none.
    pub(crate) fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(file)).unwrap_or_default()
    }

    /// A repeatable of the tenants' set.
    pub(crate) fn function(&self, name: &str, text: &str) {
        let directory = self.directory.path().join("tenant/functions");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{name}.sql")), text).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.directory.path().join(file)).unwrap();
    }

    pub(crate) fn make_directory(&self, directory: &str) {
        std::fs::create_dir(self.directory.path().join(directory)).unwrap();
    }

    pub(crate) fn remove_directory(&self, directory: &str) {
        std::fs::remove_dir_all(self.directory.path().join(directory)).unwrap();
    }

    /// With the files as they are now.
    pub(crate) fn reopened(self) -> Self {
        Self {
            fleet: open(&self.database, self.directory.path()),
            ..self
        }
    }

    pub(crate) async fn add(&self, name: &str) {
        let (name, shard) = (TenantName::new(name).unwrap(), ShardName::new("main"));
        provision::add(&self.fleet, &name, &shard, &Labels::new())
            .await
            .unwrap();
    }

    /// A schema that nobody recorded anything of, taken over.
    pub(crate) async fn import(&self, name: &str) {
        self.run(&format!("create schema {name}")).await;
        let (name, shard) = (TenantName::new(name).unwrap(), ShardName::new("main"));
        provision::import(&self.fleet, &name, &shard).await.unwrap();
    }

    pub(crate) async fn go(&self, goal: Goal) -> Report {
        let request = Request {
            goal,
            scopes: &[Scope::Tenant],
            select: &|_| true,
            max_failures: Portion::Count(0),
        };
        travel(&self.fleet, &request, &CancellationToken::new(), &())
            .await
            .unwrap()
    }

    /// The command, on this fleet and without a terminal.
    pub(crate) fn tenantry(&self, arguments: &[&str]) -> assert_cmd::Command {
        assert_cmd::Command::from_std(self.command(arguments))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = super::tenantry();
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("TENANTRY__HOME__URL", &self.database.url)
            .env("TENANTRY__MIGRATIONS__SHARED", "shared")
            .env("TENANTRY__MIGRATIONS__TENANT", "tenant")
            .env("TENANTRY__APPLY__BUSY_WAIT", "1ms");
        command
    }

    /// The same, running, on the fleet at another URL.
    pub(crate) fn spawn(&self, arguments: &[&str], url: &str) -> Child {
        let mut command = self.command(arguments);
        command.env("TENANTRY__HOME__URL", url);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// The exit code of a command, and the JSON that it writes.
    pub(crate) fn json(&self, arguments: &[&str]) -> String {
        self.text(&[arguments, &["--output", "json"]].concat())
    }

    /// The exit code of a command, and all that it writes.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        let output = self.tenantry(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        // How far it is, is told where it takes longer than a moment, which depends on the machine.
        let told = |line: &&str| !(line.starts_with("tenants ") && line.contains(" %)"));
        let errors: String = errors.split_inclusive('\n').filter(told).collect();
        format!(
            "exit code {}\n{text}{errors}",
            output.status.code().unwrap()
        )
    }

    pub(crate) async fn run(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        self.database.connect().await
    }

    pub(crate) async fn standings(&self) -> Vec<Standing> {
        Survey::take(&self.fleet).await.unwrap().tenants
    }

    pub(crate) async fn pinned(&self, name: &str) -> Pinned {
        let name = TenantName::new(name).unwrap();
        heads::get(&mut self.connect().await.into(), name.schema())
            .await
            .unwrap()
            .unwrap()
    }

    /// The log of a tenant, oldest first.
    pub(crate) async fn log(&self, name: &str) -> Vec<Entry> {
        let head = self.pinned(name).await.head;
        let mut entries = history::entries(&mut self.connect().await.into(), &head, 100)
            .await
            .unwrap();
        entries.reverse();
        entries
    }

    /// The tables of a schema, by name.
    pub(crate) async fn tables(&self, schema: &str) -> Vec<String> {
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = $1 order by 1")
            .bind(schema)
            .fetch_all(&mut self.connect().await)
            .await
            .unwrap()
    }
}
