//! The databases, the sets and the limits: everything that work on tenants is made from.

use std::{collections::BTreeSet, path::Path, str::FromStr, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

use crate::{
    apply::Limits,
    config::{Load, Portion, Provision, Settings, SettingsError},
    migration::{MigrationSet, Problems, Scope, Version, read},
    plan::{Beside, Blueprint},
    postgres::{Session, SessionError, Shard, Shards},
    sql::Ident,
    store::{Part, StoreError, install, tenants::Tenant},
    tenant::{ShardName, Target},
};

/// The databases, the sets and the limits: what a run over the fleet is made from.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The databases.
    pub shards: Shards,
    /// The shared set.
    pub shared: MigrationSet,
    /// The tenants' set.
    pub tenant: MigrationSet,
    /// The file from which new tenants are built; none where the migrations build them.
    pub structure: Option<Arc<Blueprint>>,
    /// The schema that all tenants share, on every shard.
    pub shared_schema: Ident,
    /// What is the same for every target.
    pub limits: Limits,
    /// Whether a version lower than the head may be applied.
    pub out_of_order: bool,
    /// How many targets of a scope may fail before no further one is begun.
    pub max_failures: Portion,
    /// How tenants are made and taken away.
    pub provision: Provision,
    /// How much a server may have to do before rollouts wait.
    pub load: Load,
}

/// Why the fleet cannot be worked on at all.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The files are no set of migrations.
    #[error(transparent)]
    Files(#[from] Problems),
    /// A database cannot be reached.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Our own tables.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// None of several shards can be worked on.
    #[error("no shard can be worked on: {0}")]
    NoShard(String),
    /// A URL that the driver does not take.
    #[error("`{0}` is no PostgreSQL URL, such as postgres://user@host:5432/database")]
    Url(String),
    /// A tenant is on a shard that is not configured.
    #[error(
        "tenant {tenant} is on the shard {shard}, which is not configured: add [shards.{shard}]"
    )]
    UnknownShard {
        /// The tenant.
        tenant: String,
        /// Its shard.
        shard: ShardName,
    },
    /// No file and no history has this version.
    #[error(
        "version {0} is in no file and in no history; `tenantry plan` lists what is pending, `tenantry tenant show NAME` \
         what is applied"
    )]
    UnknownVersion(Version),
    /// The history of a schema is not the one that its head tells of, however often both are read.
    #[error(
        "the history of the schema {} on shard {} is not what its head says: somebody moves it all the time, or changed \
         tenantry.history by hand; try again, and if it stays so, put the rows back from a backup",
        .0.schema.as_str(), .0.shard
    )]
    Unsteady(Target),
    /// Tenants that would stay where they are, above a shared schema that is taken back.
    #[error(
        "the shared schemas cannot be taken back under tenants that do not go back themselves: {named}{}; finish, \
         repair or retire these first (`tenantry tenant list` shows how they are, `tenantry repair` what to do), or take \
         back the other tenants alone with `--scope tenant`",
        more_of(*.more)
    )]
    TenantsStay {
        /// The first of them.
        named: String,
        /// How many are not named.
        more: usize,
    },
    /// Tenants would go up before what they depend on.
    #[error(
        "the shared schema of shard {shard} {lacks}, and tenants depend on it; `tenantry up --scope shared` first"
    )]
    SharedBehind {
        /// Where.
        shard: ShardName,
        /// What is wrong with it.
        lacks: String,
    },
}

impl FleetError {
    /// Whether it tells of one database only, so that work on the others can go on.
    pub fn is_of_one_shard(&self) -> bool {
        matches!(
            self,
            Self::Session(_) | Self::Store(StoreError::Query { .. } | StoreError::InstallBusy(_))
        )
    }
}

impl Fleet {
    /// Reads the sets and the settings; connects to nothing.
    pub fn open(settings: &Settings) -> Result<Self, FleetError> {
        Self::on(shards(settings)?, settings)
    }

    /// As [`Fleet::open`], on other databases than the settings name.
    pub fn on(shards: Shards, settings: &Settings) -> Result<Self, FleetError> {
        let directories = &settings.migrations;
        Ok(Self {
            shared: read(Scope::Shared, &directories.shared)?,
            tenant: read(Scope::Tenant, &directories.tenant)?,
            structure: directories.structure.as_deref().map(structure),
            ..Self::bare(shards, settings)
        })
    }

    /// As [`Fleet::open`], with these sets instead of those in the directories that the settings name.
    pub fn with_sets(
        settings: &Settings,
        shared: MigrationSet,
        tenant: MigrationSet,
    ) -> Result<Self, FleetError> {
        Ok(Self {
            shared,
            tenant,
            ..Self::without_files(settings)?
        })
    }

    /// As [`Fleet::open`], with empty sets: for what must work when the files are gone.
    pub fn without_files(settings: &Settings) -> Result<Self, FleetError> {
        Ok(Self::bare(shards(settings)?, settings))
    }

    /// The same, where new tenants are built from this text, which `tenantry dump` wrote to the file `name`.
    #[must_use]
    pub fn with_structure(self, name: &str, text: &str) -> Self {
        let structure = Blueprint::new(name, Ok(text.to_owned()));
        Self {
            structure: Some(Arc::new(structure)),
            ..self
        }
    }

    /// What counts beside the tenants' set for what that makes.
    pub fn beside_tenants(&self) -> Beside<'_> {
        Beside {
            shared: &self.shared,
            shared_schema: &self.shared_schema,
            extra_search_path: &self.limits.extra_search_path,
            also_writes: &self.limits.also_writes,
        }
    }

    fn bare(shards: Shards, settings: &Settings) -> Self {
        let apply = &settings.apply;
        Self {
            shared: MigrationSet::empty(Scope::Shared),
            tenant: MigrationSet::empty(Scope::Tenant),
            structure: None,
            shared_schema: settings.migrations.shared_schema.clone(),
            limits: Limits {
                lock_timeout: apply.lock_timeout,
                statement_timeout: apply.statement_timeout,
                grace: Duration::from_secs(60),
                lock_tries: usize::try_from(apply.lock_tries).unwrap_or(usize::MAX),
                busy_wait: apply.busy_wait,
                extra_search_path: settings.migrations.extra_search_path.clone(),
                also_writes: settings.migrations.also_writes.clone(),
                group_time: apply.group_time,
                locks: locks_a_transaction(&shards),
                relations: apply.relations_per_connection.into(),
                who: who(),
            },
            out_of_order: settings.migrations.allow_out_of_order,
            max_failures: apply.max_failures,
            provision: settings.provision.clone(),
            load: settings.load.clone(),
            shards,
        }
    }

    /// Moves so many tenants at once on each shard, whatever the settings say.
    pub fn at_once(&mut self, concurrency: usize) {
        let same = self.shards.iter().cloned().map(|mut shard| {
            shard.concurrency = concurrency;
            shard
        });
        self.shards = Shards::new(self.shards.home().clone(), same);
        self.limits.locks = locks_a_transaction(&self.shards);
    }

    /// The set of a scope.
    pub fn set(&self, scope: Scope) -> &MigrationSet {
        match scope {
            Scope::Shared => &self.shared,
            Scope::Tenant => &self.tenant,
        }
    }

    /// A session on the home database, with our tables installed.
    pub async fn home(&self) -> Result<Session, FleetError> {
        connect(self.shards.home(), Part::Home).await
    }

    /// A session on a shard, with our tables installed.
    pub async fn shard(&self, shard: &Shard) -> Result<Session, FleetError> {
        connect(shard, Part::Shard).await
    }

    /// The shard that a tenant is on.
    pub fn shard_of(&self, tenant: &Tenant) -> Result<&Shard, FleetError> {
        self.shards
            .get(&tenant.shard)
            .ok_or_else(|| FleetError::UnknownShard {
                tenant: tenant.name.to_string(),
                shard: tenant.shard.clone(),
            })
    }

    /// Refuses tenants on shards that nobody configured.
    pub fn check_shards<'a>(
        &self,
        tenants: impl IntoIterator<Item = &'a Tenant>,
    ) -> Result<(), FleetError> {
        let mut checked = BTreeSet::new();
        for tenant in tenants {
            if checked.insert(&tenant.shard) {
                self.shard_of(tenant)?;
            }
        }
        Ok(())
    }
}

/// A file that cannot be read keeps nobody from anything: whoever needs it is told.
fn structure(path: &Path) -> Arc<Blueprint> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    Arc::new(Blueprint::new(path, text))
}

/// Half of the room that a server with default settings has in its lock table.
const LOCKS_A_SHARD: u32 = 64 * 100 / 2;

/// What each transaction may take of it when as many are under way as may be on the busiest shard.
fn locks_a_transaction(shards: &Shards) -> u32 {
    let at_once = shards.iter().map(|shard| shard.concurrency).max();
    let at_once = u32::try_from(at_once.unwrap_or(1)).unwrap_or(u32::MAX);
    (LOCKS_A_SHARD / at_once.max(1)).max(1)
}

async fn connect(shard: &Shard, part: Part) -> Result<Session, FleetError> {
    let mut session = shard.connect().await?;
    install(session.connection(), &[part]).await?;
    Ok(session)
}

fn shards(settings: &Settings) -> Result<Shards, FleetError> {
    // Settings::load has checked the URLs: an error here names the key all the same.
    let options = |key: &str, url: &SecretString| {
        PgConnectOptions::from_str(url.expose_secret()).map_err(|_| FleetError::Url(key.to_owned()))
    };
    let timeout = settings.home.connect_timeout;
    let direct = |table: &str, url: &Option<SecretString>| {
        let url = url.as_ref();
        url.map(|url| options(&format!("{table}.direct_url"), url))
            .transpose()
    };
    let home = options("home.url", settings.home_url()?)?;
    let home = Shard::new(ShardName::new("home"), home, 1)
        .direct(direct("home", &settings.home.direct_url)?)
        .connect_timeout(timeout);
    let mut shards = Vec::new();
    for shard in settings.shards()? {
        let options = options(&format!("{}.url", shard.table), &shard.url)?;
        let direct = direct(&shard.table, &shard.direct_url)?;
        let database = Shard::new(shard.name, options, shard.concurrency).direct(direct);
        shards.push(
            database
                .table(shard.table)
                .connect_timeout(timeout)
                .max_tenants(shard.max_tenants)
                .pace(settings.apply.ddl_per_second),
        );
    }
    Ok(Shards::new(home, shards))
}

fn more_of(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

/// The operating system's user and host, for the history.
fn who() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    match whoami::hostname() {
        Ok(host) => format!("{user}@{host}"),
        Err(_) => user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_share_the_lock_table() {
        let environment = [
            (
                "TENANTRY__HOME__URL",
                "postgres://localhost/fleet".to_owned(),
            ),
            ("TENANTRY__APPLY__CONCURRENCY", "4".to_owned()),
        ];
        let settings = Settings::load(None, environment).unwrap();
        let mut fleet = Fleet::without_files(&settings).unwrap();
        assert_eq!(fleet.limits.locks, 800);
        fleet.at_once(32);
        assert_eq!(fleet.limits.locks, 100);
        assert!(fleet.shards.iter().all(|shard| shard.concurrency == 32));
        fleet.at_once(100_000);
        assert_eq!(fleet.limits.locks, 1);
    }
}
