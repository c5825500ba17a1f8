use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tenantry::{
    config::Settings,
    fleet::Fleet,
    provision,
    tenant::{ShardName, TenantName},
};

use super::{Database, database};

/// A small fleet with a database and a directory of its own, for commands to work on.
pub(crate) struct Shop {
    pub(crate) database: Database,
    directory: TempDir,
}

/// What a command left behind.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Shop {
    /// A shop with these tenants, each at version 1 with a table of users; the shared schema has plans.
    pub(crate) async fn with(tenants: &[&str]) -> Self {
        let shop = Self {
            database: database().await,
            directory: TempDir::new().unwrap(),
        };
        shop.write(
            "migrations/1-plans.up.sql",
            "CREATE TABLE plans (id int);\n",
        );
        shop.write("migrations/1-plans.down.sql", "DROP TABLE plans;\n");
        shop.migration(
            1,
            "users",
            "CREATE TABLE users (email text);\n",
            "DROP TABLE users;\n",
        );
        let first = shop.run(&["up", "--output", "json"]);
        assert_eq!(first.code, 0, "{}", first.stderr);
        let fleet = Fleet::open(&shop.settings()).unwrap();
        for (index, name) in tenants.iter().enumerate() {
            let tier = if index == 0 { "paid" } else { "free" };
            let labels = [("tier".to_owned(), tier.to_owned())].into();
            let name = TenantName::new(*name).unwrap();
            let shard = ShardName::new("main");
            provision::add(&fleet, &name, &shard, &labels)
                .await
                .unwrap();
        }
        shop
    }

    /// A migration of the tenants.
    pub(crate) fn migration(&self, version: u64, name: &str, up: &str, down: &str) {
        self.write(&format!("tenant_migrations/{version}-{name}.up.sql"), up);
        self.write(
            &format!("tenant_migrations/{version}-{name}.down.sql"),
            down,
        );
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The command, to be run in the shop's directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::from_std(super::tenantry());
        command
            .args(arguments)
            .current_dir(self.path())
            .env("TENANTRY__HOME__URL", &self.database.url);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Runs SQL as an application would.
    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.database.connect().await)
            .await
            .unwrap();
    }

    /// Waits until a query says true.
    pub(crate) async fn wait_for(&self, query: &'static str) {
        let mut connection = self.database.connect().await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let came_true: bool = sqlx::query_scalar(query)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            if came_true {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "never: {query}");
            tokio::task::yield_now().await;
        }
    }

    /// The same for what needs no process of its own.
    pub(crate) fn fleet(&self) -> Fleet {
        Fleet::open(&self.settings()).unwrap()
    }

    fn settings(&self) -> Settings {
        let list = |name: &str| self.path().join(name).display().to_string();
        let environment = [
            ("TENANTRY__HOME__URL", self.database.url.clone()),
            ("TENANTRY__MIGRATIONS__SHARED", list("migrations")),
            ("TENANTRY__MIGRATIONS__TENANT", list("tenant_migrations")),
        ];
        Settings::load(Some(&self.empty_file()), environment).unwrap()
    }

    /// Else the settings of whoever runs the tests would be read.
    fn empty_file(&self) -> PathBuf {
        self.write("empty.toml", "");
        self.path().join("empty.toml")
    }
}

impl Ran {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The one object on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// Everything that was shown, without what differs from run to run.
    pub(crate) fn screen(&self) -> String {
        format!("exit {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

/// Settings of snapshots: times and numbers of the server are left out.
pub(crate) fn snapshots() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#""elapsed_ms": \d+"#, r#""elapsed_ms": 0"#);
    settings.add_filter(r" in [\d.]+ m?s( \([\d.]+/\w+\))?", " in TIME");
    settings.add_filter(r"(enter|leave)\(\d+", "$1(OID");
    settings
}
