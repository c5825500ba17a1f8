use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tenantry::{
    config::Settings,
    fleet::Fleet,
    provision,
    store::tenants::Labels,
    tenant::{ShardName, TenantName},
};

use super::{Database, Ran, database};

/// A fleet of several databases, with a home database beside them and a directory of its own.
pub(crate) struct Several {
    pub(crate) home: Database,
    pub(crate) shards: BTreeMap<&'static str, Database>,
    directory: TempDir,
    /// What else the tables of shards say.
    more: BTreeMap<&'static str, String>,
    /// Shards whose URL leads nowhere.
    away: Vec<&'static str>,
}

/// A port on which nobody listens, as far as can be told.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Several {
    /// A fleet with these shards, and so many tenants on each: `eu1_1`, `eu1_2` … at version 1.
    pub(crate) async fn with(shards: &[(&'static str, usize)]) -> Self {
        let mut several = Self {
            home: database().await,
            shards: BTreeMap::new(),
            directory: TempDir::new().unwrap(),
            more: BTreeMap::new(),
            away: Vec::new(),
        };
        for (shard, _) in shards {
            several.shards.insert(shard, database().await);
        }
        several.migration(
            "shared/1-plans",
            "create table plans ()",
            "drop table plans",
        );
        several.migration(
            "tenant/1-users",
            "create table users ()",
            "drop table users",
        );
        several.configure();
        let first = several.run(&["up", "--output", "json"]);
        assert_eq!(first.code, 0, "{}", first.screen());
        let fleet = several.fleet();
        for (shard, tenants) in shards {
            for number in 1..=*tenants {
                let name = TenantName::new(format!("{shard}_{number}")).unwrap();
                let shard = ShardName::new(*shard);
                provision::add(&fleet, &name, &shard, &Labels::new())
                    .await
                    .unwrap();
            }
        }
        several
    }

    /// The files of a migration.
    pub(crate) fn migration(&self, name: &str, up: &str, down: &str) {
        for (direction, text) in [("up", up), ("down", down)] {
            let path = self.path().join(format!("{name}.{direction}.sql"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text};\n")).unwrap();
        }
    }

    /// Adds a line to the table of a shard.
    pub(crate) fn set(&mut self, shard: &'static str, line: &str) {
        let lines = self.more.entry(shard).or_default();
        lines.push_str(line);
        lines.push('\n');
        self.configure();
    }

    /// Which shards are where nobody listens.
    pub(crate) fn away(&mut self, shards: &[&'static str]) {
        self.away = shards.to_vec();
        self.configure();
    }

    /// Writes the configuration.
    fn configure(&self) {
        let mut text = format!(
            "[home]\nurl = \"{}\"\n[migrations]\nshared = [\"shared\"]\ntenant = [\"tenant\"]\nalso_writes = [\"public\"]\n",
            self.home.url
        );
        for (shard, database) in &self.shards {
            let url = if self.away.contains(shard) {
                format!("postgres://nobody@127.0.0.1:{}/nothing", closed_port())
            } else {
                database.url.clone()
            };
            let more = self.more.get(shard).cloned().unwrap_or_default();
            text.push_str(&format!("[shards.{shard}]\nurl = \"{url}\"\n{more}"));
        }
        std::fs::write(self.path().join("tenantry.toml"), text).unwrap();
    }

    pub(crate) fn settings(&self) -> Settings {
        let list = |name: &str| self.path().join(name).display().to_string();
        let environment = [
            ("TENANTRY__MIGRATIONS__SHARED", list("shared")),
            ("TENANTRY__MIGRATIONS__TENANT", list("tenant")),
            ("TENANTRY__MIGRATIONS__ALSO_WRITES", "public".to_owned()),
            ("TENANTRY__DAEMON__LISTEN", "127.0.0.1:0".to_owned()),
            ("TENANTRY__DAEMON__PROVISION_INTERVAL", "20ms".to_owned()),
        ];
        Settings::load(Some(&self.path().join("tenantry.toml")), environment).unwrap()
    }

    pub(crate) fn fleet(&self) -> Fleet {
        Fleet::open(&self.settings()).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The command, to be run on this fleet.
    pub(crate) fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::from_std(super::tenantry());
        command.args(arguments).current_dir(self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// Runs SQL on a shard.
    pub(crate) async fn sql(&self, shard: &str, sql: &str) {
        let mut connection = self.shards[shard].connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Where every schema stands, by shard and schema, as the shards themselves say.
    pub(crate) async fn standings(&self) -> BTreeMap<String, Option<String>> {
        let mut standings = BTreeMap::new();
        for (shard, database) in &self.shards {
            let heads: Vec<(String, Option<String>)> =
                sqlx::query_as("select schema_name, version from tenantry.heads")
                    .fetch_all(&mut database.connect().await)
                    .await
                    .unwrap();
            let named = heads.into_iter();
            standings.extend(named.map(|(schema, version)| (format!("{shard}/{schema}"), version)));
        }
        standings
    }

    /// The versions of the tenants of one shard, in order of name.
    pub(crate) async fn versions(&self, shard: &str) -> Vec<Option<String>> {
        let standings = self.standings().await;
        let tenants = format!("{shard}/{shard}_");
        let on_shard = standings
            .into_iter()
            .filter(|(name, _)| name.starts_with(&tenants));
        on_shard.map(|(_, version)| version).collect()
    }
}

/// The kinds of what is blocked in a scope of a report, a status or a plan.
pub(crate) fn blocked(scope: &Value) -> Vec<(&str, &str)> {
    let blocked = scope["blocked"].as_array().unwrap().iter();
    let blocked = blocked.map(|blocked| {
        let schema = blocked["target"]["schema"].as_str().unwrap();
        (schema, blocked["kind"].as_str().unwrap())
    });
    blocked.collect()
}
