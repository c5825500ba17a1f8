//! The databases of the fleet, by name.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{ServerError, Session, SessionError};
use crate::tenant::ShardName;

/// One database that holds tenants.
#[derive(Clone)]
pub struct Shard {
    /// Its key in the configuration.
    pub name: ShardName,
    /// How many targets are worked on at once.
    pub concurrency: usize,
    /// So many tenants are put on it, at most, where nobody says which shard; none for no limit.
    pub max_tenants: Option<u64>,
    // Never in a log: the driver prints the password with the options.
    options: PgConnectOptions,
    connect_timeout: Duration,
    /// Which setting its URL is from.
    setting: String,
}

/// As long as a person waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Shard {
    /// A shard of the configuration.
    pub fn new(name: ShardName, options: PgConnectOptions, concurrency: usize) -> Self {
        Self {
            name,
            concurrency,
            max_tenants: None,
            options: options.application_name("tenantry"),
            connect_timeout: CONNECT_TIMEOUT,
            setting: "home.url".to_owned(),
        }
    }

    /// Which setting its URL is from, where that is not `home.url`.
    #[must_use]
    pub fn setting(self, setting: impl Into<String>) -> Self {
        Self {
            setting: setting.into(),
            ..self
        }
    }

    /// So many tenants are put on it, at most, where nobody says which shard.
    #[must_use]
    pub fn max_tenants(self, max_tenants: Option<u64>) -> Self {
        Self {
            max_tenants,
            ..self
        }
    }

    /// How long opening one connection may take.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// A new session on this shard.
    pub async fn connect(&self) -> Result<Session, SessionError> {
        let connecting = Session::connect(&self.options);
        let late = |_| ServerError::local(format!("no answer within {:?}", self.connect_timeout));
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        connected
            .map_err(late)
            .and_then(|connected| connected)
            .map_err(|error| SessionError::Connect {
                shard: self.name.to_string(),
                address: self.address(),
                setting: self.setting.clone(),
                error,
            })
    }

    /// Where the server is, for people.
    fn address(&self) -> String {
        match self.options.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// A small pool for queries over our own tables.
    pub fn pool(&self, connections: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .connect_lazy_with(self.options.clone())
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("name", &self.name)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// The home database and the shards; the home database may be one of them.
#[derive(Debug, Clone)]
pub struct Shards {
    home: Shard,
    shards: BTreeMap<ShardName, Shard>,
}

impl Shards {
    /// The home database, and the databases that hold tenants.
    pub fn new(home: Shard, shards: impl IntoIterator<Item = Shard>) -> Self {
        let shards = shards
            .into_iter()
            .map(|shard| (shard.name.clone(), shard))
            .collect();
        Self { home, shards }
    }

    /// Where the registry lives.
    pub fn home(&self) -> &Shard {
        &self.home
    }

    /// All shards, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.shards.values()
    }

    /// The shard of this name.
    pub fn get(&self, name: &ShardName) -> Option<&Shard> {
        self.shards.get(name)
    }
}
