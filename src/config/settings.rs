//! All settings together.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
};

use config::{Environment, Map, Value, ValueKind};
use secrecy::SecretString;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

use super::{
    Apply, Backfill, Daemon, Drift, Gate, Home, Hooks, Load, Log, Migrations, Origin, Provision,
    SettingsError, Shard, Strategy,
    checks::Checks,
    hooks, keys,
    layers::Layers,
    origin::PREFIX,
    shards::{self, ShardTable},
};
use crate::tenant::{InvalidTenantName, ShardName, TenantName};

/// The file that is read where none is named.
const FILE: &str = "tenantry.toml";

/// The shard that the home database is where no shards are configured.
const ONLY_SHARD: &str = "main";

/// Keys whose value is a list; in the environment, a text with commas.
const LISTS: [&str; 11] = [
    "migrations.shared",
    "migrations.tenant",
    "migrations.extra_search_path",
    "migrations.also_writes",
    "provision.before_retire",
    "rollout.waves",
    "rollout.windows",
    "hooks.before_rollout",
    "hooks.after_rollout",
    "hooks.before_wave",
    "hooks.after_wave",
];

/// All settings, checked. `Debug` shows no URL and no password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The home database.
    pub home: Home,
    /// Read by [`Settings::shards`].
    shards: BTreeMap<ShardName, ShardTable>,
    /// Where the migrations are, and what they may see.
    pub migrations: Migrations,
    /// How migrations are applied.
    pub apply: Apply,
    /// How the daemon is run.
    pub daemon: Daemon,
    /// How tenants are made and taken away.
    pub provision: Provision,
    /// How the daemon looks for drift.
    pub drift: Drift,
    /// How much a server may have to do before rollouts wait.
    pub load: Load,
    /// How rollouts go through the fleet.
    pub rollout: Strategy,
    /// What has to be well between two waves.
    pub gate: Gate,
    /// What is run before and after rollouts and waves.
    pub hooks: Hooks,
    /// What holds for backfills.
    pub backfill: Backfill,
    /// What is written about the work.
    pub log: Log,
    #[serde(skip)]
    described: Vec<Setting>,
}

/// One setting in force, as `tenantry config show` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, such as `apply.concurrency`.
    pub key: String,
    /// Its value, with passwords left out.
    pub value: String,
    /// Where it is from.
    pub origin: Origin,
}

impl Settings {
    /// Reads the defaults, then `file` (else `./tenantry.toml` where there is one), then `environment`, which is
    /// [`std::env::vars_os`] outside of tests.
    ///
    /// # Errors
    /// Where `file` cannot be read or is no TOML, and where any key or value is wrong: then all that is wrong is told.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<Self, SettingsError> {
        Self::of(&Layers::lay(text(file)?, variables(environment))?)
    }

    /// The defaults, but for the home database, which is the only shard: for programs that have one URL and no files.
    ///
    /// # Errors
    /// Where `url` is no PostgreSQL URL.
    pub fn at(url: &str) -> Result<Self, SettingsError> {
        // A text of JSON is one of TOML, too.
        Self::parse(&format!("home.url = {}", serde_json::json!(url)))
    }

    /// The defaults with `text` laid over them, as if it stood in a file. Neither files nor variables are read.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let file = (PathBuf::from("settings of the program"), text.to_owned());
        Self::of(&Layers::lay(Some(file), variables([("", ""); 0]))?)
    }

    fn of(layers: &Layers) -> Result<Self, SettingsError> {
        let mut settings: Self = layers.settings()?;
        settings.validate(layers)?;
        settings.described = describe(layers);
        Ok(settings)
    }

    /// The databases that hold tenants, by name; the home database alone where none are configured.
    ///
    /// # Errors
    /// Where neither shards nor `home.url` are set.
    pub fn shards(&self) -> Result<Vec<Shard>, SettingsError> {
        if self.shards.is_empty() {
            return Ok(vec![Shard {
                name: ShardName::new(ONLY_SHARD),
                url: self.home_url()?.clone(),
                direct_url: self.home.direct_url.clone(),
                table: "home".to_owned(),
                concurrency: self.apply.concurrency,
                max_tenants: None,
            }]);
        }
        let shard = |(name, table): (&ShardName, &ShardTable)| Shard {
            name: name.clone(),
            url: table.url.clone(),
            direct_url: table.direct_url.clone(),
            table: format!("shards.{name}"),
            concurrency: table.concurrency.unwrap_or(self.apply.concurrency),
            max_tenants: table.max_tenants,
        };
        Ok(self.shards.iter().map(shard).collect())
    }

    /// Where the home database is.
    ///
    /// # Errors
    /// Where it was not set, with how to set it.
    pub fn home_url(&self) -> Result<&SecretString, SettingsError> {
        self.home.url.as_ref().ok_or(SettingsError::NoHome)
    }

    /// A tenant's name that is no schema of the configuration's either.
    ///
    /// # Errors
    /// Where the name is no schema's, or that of the shared schema or of one in `extra_search_path` or `also_writes`.
    pub fn tenant_name(&self, name: &str) -> Result<TenantName, InvalidTenantName> {
        let tenant = TenantName::new(name)?;
        let migrations = &self.migrations;
        let taken = tenant.schema() == &migrations.shared_schema
            || migrations.extra_search_path.contains(tenant.schema())
            || migrations.also_writes.contains(tenant.schema());
        if taken {
            return Err(InvalidTenantName::Reserved(name.to_owned()));
        }
        Ok(tenant)
    }

    /// Every setting in force and where it is from, by key, with passwords left out.
    pub fn describe(&self) -> &[Setting] {
        &self.described
    }

    fn validate(&self, layers: &Layers) -> Result<(), SettingsError> {
        let mut checks = Checks::default();
        self.home.check(&mut checks);
        shards::check(&self.shards, &mut checks);
        self.migrations.check(&mut checks);
        self.apply.check(&mut checks);
        self.daemon.check(&mut checks);
        self.provision.check(&mut checks);
        self.drift.check(&mut checks);
        self.rollout
            .check(layers.is_set("rollout.waves"), &mut checks);
        self.gate.check(&mut checks);
        self.hooks.check(&mut checks);
        self.backfill.check(&mut checks);
        self.log.check(&mut checks);
        if checks.failed.is_empty() {
            return Ok(());
        }
        let failed = checks.failed.into_iter();
        let problems = failed.map(|(key, message)| layers.problem(key, message));
        Err(SettingsError::Invalid(problems.collect()))
    }
}

/// Path and text of the configuration file.
fn text(file: Option<&Path>) -> Result<Option<(PathBuf, String)>, SettingsError> {
    let path = file.unwrap_or(Path::new(FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SettingsError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The settings among the environment's variables. What is not UTF-8 is read as far as it is.
fn variables(
    environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
) -> Environment {
    let ours: Map<String, String> = environment
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect();
    let environment = Environment::with_prefix("TENANTRY")
        .prefix_separator("__")
        .separator("__")
        .ignore_empty(true)
        .try_parsing(true)
        .list_separator(",")
        .source(Some(ours));
    LISTS.iter().fold(environment, |environment, key| {
        environment.with_list_parse_key(key)
    })
}

fn describe(layers: &Layers) -> Vec<Setting> {
    let described = layers.given.iter().map(|(key, (origin, value))| Setting {
        key: key.join("."),
        value: match key.first().map(String::as_str) {
            Some("gate" | "hooks") => hooks::described(value),
            _ if keys::is_secret(key) => without_password(&show(value)),
            _ => show(value),
        },
        origin: origin.clone(),
    });
    described.collect()
}

/// The value as one would write it, lists with commas.
fn show(value: &Value) -> String {
    match &value.kind {
        ValueKind::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Built again from what is no secret: a URL can hold a password in more places than one.
fn without_password(url: &str) -> String {
    if url.is_empty() {
        return "(not set)".to_owned();
    }
    PgConnectOptions::from_str(url).map_or_else(
        |_| "(redacted)".to_owned(),
        |options| {
            let host = options.get_host();
            let database = options.get_database().unwrap_or_default();
            format!(
                "postgres://{host}:{}/{database} (redacted)",
                options.get_port()
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{LogFormat, Portion, layers::DEFAULTS},
        migration::{self, Scope},
    };
    use secrecy::ExposeSecret;
    use std::{io::Write, time::Duration};

    const NOTHING: [(&str, &str); 0] = [];

    fn environment(variables: &[(&'static str, &'static str)]) -> Result<Settings, String> {
        Settings::load(None, variables.iter().copied()).map_err(|e| e.to_string())
    }

    fn file(text: &str) -> Result<Settings, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.path();
        Settings::load(Some(path), NOTHING)
            .map_err(|e| e.to_string().replace(&*path.to_string_lossy(), "FILE"))
    }

    /// What is wrong, where that is one thing.
    fn complaint(result: Result<Settings, String>) -> String {
        let message = result.unwrap_err();
        let line = message.strip_prefix("the configuration cannot be used:\n  ");
        line.unwrap_or(&message).to_owned()
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let settings = environment(&[]).unwrap();
        assert_eq!(settings.apply.concurrency, 4);
        assert_eq!(settings.apply.lock_timeout, Duration::from_secs(2));
        assert_eq!(settings.apply.statement_timeout, Duration::from_secs(900));
        assert_eq!(settings.apply.max_failures, Portion::Share(100));
        assert_eq!(settings.migrations.shared, [PathBuf::from("migrations")]);
        assert_eq!(settings.migrations.shared_schema.as_str(), "shared");
        assert_eq!(settings.daemon.listen.to_string(), "127.0.0.1:7070");
        assert_eq!(settings.log.format, LogFormat::Text);
        assert!(settings.home.url.is_none());
    }

    #[test]
    fn every_key_of_the_reference_is_explained() {
        let mut before = "";
        for line in DEFAULTS.lines().filter(|line| !line.is_empty()) {
            if !line.starts_with('#') {
                assert!(before.starts_with('#'), "nothing explains {line}");
            }
            before = line;
        }
    }

    #[test]
    fn the_reference_has_every_key() {
        let read = |text: &str| -> Result<Settings, ::config::ConfigError> {
            let file = ::config::File::from_str(text, ::config::FileFormat::Toml);
            let config = ::config::Config::builder().add_source(file).build()?;
            config.try_deserialize()
        };
        assert!(read(DEFAULTS).is_ok());
        // No field has a default of its own: one that the reference left out could not be read.
        let is_key = |line: &&str| line.contains(" = ") && !line.starts_with('#');
        for key in DEFAULTS.lines().filter(is_key) {
            let without: Vec<_> = DEFAULTS.lines().filter(|line| *line != key).collect();
            assert!(read(&without.join("\n")).is_err(), "{key} is not needed");
        }
    }

    #[test]
    fn the_example_of_a_shard_in_the_reference_can_be_used() {
        let example: Vec<_> = DEFAULTS
            .lines()
            .filter_map(|line| line.strip_prefix("#     "))
            .skip_while(|line| !line.starts_with('['))
            .collect();
        let shards = file(&example.join("\n")).unwrap().shards().unwrap();
        assert_eq!(shards.len(), 1);
        assert_eq!(shards[0].name.as_str(), "eu1");
        assert_eq!(shards[0].concurrency, 8);
        assert_eq!(shards[0].max_tenants, Some(2000));
        for key in shards::KEYS {
            assert!(
                example
                    .iter()
                    .any(|line| line.starts_with(&format!("{key} = ")))
            );
        }
    }

    #[test]
    fn examples_can_be_used() {
        let development =
            Settings::load(Some(Path::new("config/development.toml")), NOTHING).unwrap();
        assert_eq!(development.apply.max_failures, Portion::Count(0));
        assert_eq!(development.shards().unwrap()[0].name.as_str(), "main");
        let production =
            Settings::load(Some(Path::new("config/production.toml")), NOTHING).unwrap();
        let shards = production.shards().unwrap();
        assert_eq!(shards[0].concurrency, 16);
        assert_eq!(shards[1].concurrency, 8);
        assert_eq!(production.log.format, LogFormat::Json);
    }

    #[test]
    fn the_defaults_find_the_sample_sets() {
        let Migrations { shared, tenant, .. } = environment(&[]).unwrap().migrations;
        for (scope, directories) in [(Scope::Shared, shared), (Scope::Tenant, tenant)] {
            let set = migration::read(scope, &directories).unwrap();
            assert_eq!(set.problems().count(), 0, "the {scope} set is not clean");
            assert!(set.migrations.len() >= 5);
            assert!(set.migrations.iter().all(|m| m.down.is_some()));
        }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[apply]\nconcurrency = 2\nlock_tries = 3\n")
            .unwrap();
        let variables = [
            ("TENANTRY__APPLY__CONCURRENCY", "9"),
            ("TENANTRY__APPLY__BUSY_WAIT", "1min 30s"),
            ("TENANTRY__MIGRATIONS__SHARED", "one,two"),
            ("TENANTRY__SHARDS__EU1__URL", "postgres://eu1/shop"),
            ("TENANTRY__LOG__LEVEL", ""),
            ("TENANTRY_CONFIG", "no setting"),
        ];
        let settings = Settings::load(Some(file.path()), variables).unwrap();
        assert_eq!(settings.apply.concurrency, 9);
        assert_eq!(settings.apply.lock_tries, 3);
        assert_eq!(settings.apply.busy_wait, Duration::from_secs(90));
        assert_eq!(
            settings.migrations.shared,
            ["one", "two"].map(PathBuf::from)
        );
        assert_eq!(settings.shards().unwrap()[0].name.as_str(), "eu1");
        assert_eq!(settings.log.level, "info");

        let origin = |key: &str| {
            let mut settings = settings.describe().iter();
            settings.find(|s| s.key == key).unwrap().origin.clone()
        };
        let variable = "TENANTRY__APPLY__CONCURRENCY".to_owned();
        assert_eq!(origin("apply.concurrency"), Origin::Environment(variable));
        assert_eq!(origin("apply.lock_tries"), Origin::File(file.path().into()));
        assert_eq!(origin("apply.max_failures"), Origin::Default);
    }

    #[test]
    fn unknown_keys_are_refused_with_those_there_are() {
        assert_eq!(
            complaint(environment(&[("TENANTRY__DAEMON__PORT", "80")])),
            "`daemon.port` (TENANTRY__DAEMON__PORT): no such key; [daemon] has apply_at_start, grace, listen, metrics_token, provision_interval, term"
        );
        assert_eq!(
            complaint(file("[deamon]\ngrace = \"1s\"")),
            "`deamon.grace` (FILE): no such section; there are apply, backfill, daemon, drift, gate, home, hooks, load, log, migrations, provision, rollout and shards"
        );
        assert_eq!(
            complaint(file("log = \"debug\"")),
            "`log` (FILE): is a section, not a value; its keys are format, level"
        );
        assert_eq!(
            complaint(file("[shards]\neu1 = \"postgres://eu1/shop\"")),
            "`shards.eu1` (FILE): a shard is a table [shards.NAME] with the keys url, direct_url, concurrency, max_tenants"
        );
    }

    #[test]
    fn wrong_values_name_key_and_place() {
        for (variable, value, message) in [
            (
                "TENANTRY__APPLY__CONCURRENCY",
                "many",
                "`apply.concurrency` (TENANTRY__APPLY__CONCURRENCY): string \"many\" stands where an integer is expected",
            ),
            (
                "TENANTRY__APPLY__CONCURRENCY",
                "0",
                "`apply.concurrency` (TENANTRY__APPLY__CONCURRENCY): must be at least 1",
            ),
            (
                "TENANTRY__APPLY__LOCK_TIMEOUT",
                "30",
                "`apply.lock_timeout` (TENANTRY__APPLY__LOCK_TIMEOUT): 30 has no unit: write \"30s\" for seconds",
            ),
            (
                "TENANTRY__APPLY__LOCK_TIMEOUT",
                "0s",
                "`apply.lock_timeout` (TENANTRY__APPLY__LOCK_TIMEOUT): must be at least \"1ms\": PostgreSQL takes 0 as no limit at all",
            ),
            (
                "TENANTRY__APPLY__MAX_FAILURES",
                "few",
                "`apply.max_failures` (TENANTRY__APPLY__MAX_FAILURES): \"few\" is neither a number nor a percentage: write a number such as 3, or a percentage such as \"1%\" or \"0.5%\"",
            ),
            (
                "TENANTRY__DAEMON__LISTEN",
                "localhost",
                "`daemon.listen` (TENANTRY__DAEMON__LISTEN): \"localhost\" is no address with a port: write \"127.0.0.1:7070\" or \"[::1]:7070\"",
            ),
            (
                "TENANTRY__LOG__FORMAT",
                "xml",
                "`log.format` (TENANTRY__LOG__FORMAT): \"xml\" is no format: write \"text\" or \"json\"",
            ),
            (
                "TENANTRY__LOG__LEVEL",
                "inof",
                "`log.level` (TENANTRY__LOG__LEVEL): \"inof\" is no level: write \"info\", or by module \"info,tenantry::apply=debug\"",
            ),
            (
                "TENANTRY__MIGRATIONS__SHARED_SCHEMA",
                "tenantry",
                "`migrations.shared_schema` (TENANTRY__MIGRATIONS__SHARED_SCHEMA): the schema \"tenantry\" belongs to PostgreSQL or to tenantry: choose another",
            ),
            (
                "TENANTRY__MIGRATIONS__TENANT",
                "migrations",
                "`migrations.tenant` (TENANTRY__MIGRATIONS__TENANT): migrations is in migrations.shared too: each scope needs directories of its own",
            ),
        ] {
            assert_eq!(complaint(environment(&[(variable, value)])), message);
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let message =
            file("[apply]\nconcurrency = 0\nlock_tries = 0\n[backfill]\nbatch = 0").unwrap_err();
        assert_eq!(message.lines().count(), 4, "{message}");
    }

    #[test]
    fn passwords_are_never_shown() {
        let url = "postgres://app:s3cret@db.example.net/shop?password=s3cret";
        for text in [
            format!("[home]\nurl = \"{url}\"\n[shards.eu1]\nurl = \"{url}\""),
            format!("[home]\nurl = \"{url}\"\nurl = \"{url}\""),
            format!("[home]\nurl = \"{url}"),
            format!("home = \"{url}\""),
            format!("[home.url]\neu1 = \"{url}\""),
            format!("[home]\nurl = \"{url}\"\ndirect_url = \"{url}\""),
            format!("[shards.eu1]\nurl = \"{url}\"\ndirect_url = \"{url}\""),
            format!("[shards.eu1]\nurl = \"{url}\"\ndirect_url = \"mysql{url}\""),
            format!("[home]\nurl = [\"{url}\"]"),
            format!("[home]\nurl = \"mysql{url}\""),
            format!("[shards.eu1]\nurl = \"{}\"", url.replace("db.", "db:port.")),
            format!("[shards]\neu1 = \"{url}\""),
        ] {
            let shown = match file(&text) {
                Ok(settings) => format!(
                    "{settings:?}{:?}{:?}",
                    settings.shards().unwrap(),
                    settings.describe()
                ),
                Err(message) => message,
            };
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn an_unset_home_says_how_to_set_it() {
        let error = environment(&[]).unwrap().shards().unwrap_err();
        assert!(error.to_string().contains("TENANTRY__HOME__URL"));
        let settings = environment(&[("TENANTRY__HOME__URL", "postgres://")]).unwrap();
        assert_eq!(settings.shards().unwrap()[0].name.as_str(), "main");
    }

    #[test]
    fn programs_need_neither_files_nor_variables() {
        let url = "postgres://me@h/shop?application_name=a\"b";
        let settings = Settings::at(url).unwrap();
        assert_eq!(settings.home_url().unwrap().expose_secret(), url);
        assert_eq!(settings.shards().unwrap().len(), 1);
        assert!(Settings::at("mysql://h").is_err());
        let text = "[home]\nurl = \"postgres://h/a\"\n[shards.eu1]\nurl = \"postgres://h/b\"";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.shards().unwrap()[0].name.as_str(), "eu1");
        let error = Settings::parse("[apply]\nfast = true").unwrap_err();
        assert!(error.to_string().contains("settings of the program"));
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let error = Settings::load(Some(Path::new("no/such.toml")), NOTHING).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read the configuration file no/such.toml"
        );
        assert_eq!(
            file("[apply]\nconcurrency = ").unwrap_err(),
            "FILE is not valid TOML: at line 2, column 15: string values must be quoted, expected literal string"
        );
    }

    #[test]
    fn schemas_of_the_configuration_are_no_tenants() {
        let settings = environment(&[
            ("TENANTRY__MIGRATIONS__EXTRA_SEARCH_PATH", "extensions"),
            ("TENANTRY__MIGRATIONS__ALSO_WRITES", "audit"),
        ])
        .unwrap();
        assert!(settings.tenant_name("acme").is_ok());
        assert!(settings.tenant_name("shared").is_err());
        assert!(settings.tenant_name("extensions").is_err());
        assert!(settings.tenant_name("audit").is_err());
    }

    #[test]
    fn schemas_that_are_not_the_users_are_written_by_no_script() {
        for schema in ["tenantry", "pg_catalog", "information_schema"] {
            let message = complaint(environment(&[(
                "TENANTRY__MIGRATIONS__ALSO_WRITES",
                schema,
            )]));
            assert!(message.contains("migrations.also_writes"), "{message}");
        }
    }

    #[test]
    fn parameters_of_a_url_that_are_not_known_are_refused_by_name() {
        for (query, name) in [
            ("pasword=s3cret", "pasword"),
            ("sslmode=require&sslpassword=s3cret", "sslpassword"),
            ("s3cret", "(not shown)"),
            ("s3cret@h/shop", "(not shown)"),
            ("s3%20cret=1", "(not shown)"),
        ] {
            let error = Settings::at(&format!("postgres://me@h/shop?{query}")).unwrap_err();
            let message = error.to_string();
            let named = format!("has the parameter {name}, which is not known");
            assert!(message.contains(&named), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        let known = "sslmode=require&application_name=a&options=-c%20a%3Db&options[a]=b&user=a@b";
        assert!(Settings::at(&format!("postgres://h/shop?{known}")).is_ok());
    }
}
