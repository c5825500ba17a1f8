//! The databases of the fleet, by name.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};

use tokio_util::sync::CancellationToken;

use super::{
    Message, ServerError, Session, SessionError,
    pace::Pace,
    settings,
    side::{Sent, Side},
};
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
    /// Past a pooler, where that is another way.
    direct: Option<PgConnectOptions>,
    side: Side,
    connect_timeout: Duration,
    /// Which table of the configuration it is from.
    table: String,
    /// Whether the way there leads through a pooler, once somebody went it: of the way, and of the direct one.
    is_pooled: Arc<[OnceLock<bool>; 2]>,
    /// How many statements a second may be begun, of all who share this; none for as many as can be.
    pace: Option<Arc<Pace>>,
}

/// As long as a person waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Shard {
    /// A shard of the configuration.
    pub fn new(name: ShardName, options: PgConnectOptions, concurrency: usize) -> Self {
        let options = ours(options);
        Self {
            name,
            concurrency,
            max_tenants: None,
            side: Side::new(options.clone(), CancellationToken::new()),
            options,
            direct: None,
            connect_timeout: CONNECT_TIMEOUT,
            table: "home".to_owned(),
            is_pooled: Arc::default(),
            pace: None,
        }
    }

    /// Which table of the configuration it is from, where that is not `home`.
    #[must_use]
    pub fn table(self, table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            ..self
        }
    }

    /// The way past a pooler, where there is one on the other.
    #[must_use]
    pub fn direct(self, direct: Option<PgConnectOptions>) -> Self {
        let direct = direct.map(ours);
        Self {
            side: match &direct {
                Some(options) => self.side.via(options.clone()),
                None => self.side,
            },
            direct,
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
            side: self.side.timeout(connect_timeout),
            connect_timeout,
            ..self
        }
    }

    /// So many statements of migrations may be begun a second; 0 for as many as can be.
    #[must_use]
    pub fn pace(self, statements: u32) -> Self {
        Self {
            pace: Pace::new(statements).map(Arc::new),
            ..self
        }
    }

    /// Waits until so many statements more may be begun.
    pub async fn wait_for(&self, statements: u32) {
        if let Some(pace) = &self.pace {
            pace.wait_for(statements).await;
        }
    }

    /// A new session on this shard, for transactions: there may be a pooler in between.
    pub async fn connect(&self) -> Result<Session, SessionError> {
        self.connect_by(&self.options, "url", &self.is_pooled[0])
            .await
    }

    /// A new session on this shard for whatever needs one of its own: statements outside a transaction, locks and settings
    /// of the session, `LISTEN`, the process to be cancelled.
    ///
    /// # Errors
    /// Among others: the only way there leads through a pooler.
    pub async fn connect_directly(&self) -> Result<Session, SessionError> {
        let (options, key, is_pooled) = match &self.direct {
            Some(direct) => (direct, "direct_url", &self.is_pooled[1]),
            None => (&self.options, "url", &self.is_pooled[0]),
        };
        let session = self.connect_by(options, key, is_pooled).await?;
        if !session.is_pooled() {
            return Ok(session);
        }
        session.close().await;
        Err(SessionError::Pooled {
            shard: self.name.to_string(),
            address: address(options),
            setting: format!("{}.{key}", self.table),
            table: self.table.clone(),
        })
    }

    /// Hears what is told on a channel, past whatever pooler may be in between.
    ///
    /// # Errors
    /// As [`Shard::connect_directly`].
    pub async fn listen(&self, channel: &str) -> Result<PgListener, SessionError> {
        // Says what is wrong with the way there, where anything is.
        self.connect_directly().await?.close().await;
        let options = self.direct.as_ref().unwrap_or(&self.options);
        let lost = |error: sqlx::Error| SessionError::Lost(ServerError::of(&error));
        let pool = PgPoolOptions::new().max_connections(1);
        let connecting = pool
            .acquire_timeout(self.connect_timeout)
            .connect_lazy_with(options.clone());
        let mut listener = PgListener::connect_with(&connecting).await.map_err(lost)?;
        listener.listen(channel).await.map_err(lost)?;
        Ok(listener)
    }

    async fn connect_by(
        &self,
        options: &PgConnectOptions,
        key: &str,
        is_pooled: &OnceLock<bool>,
    ) -> Result<Session, SessionError> {
        let side = Arc::new(self.side.clone());
        let connecting = Session::connect(options, is_pooled.get().copied(), side);
        let late = |_| ServerError::local(format!("no answer within {:?}", self.connect_timeout));
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let session = connected
            .map_err(late)
            .and_then(|connected| connected)
            .map_err(|error| SessionError::Connect {
                shard: self.name.to_string(),
                address: address(options),
                setting: format!("{}.{key}", self.table),
                error,
            })?;
        if is_pooled.set(session.is_pooled()).is_ok() && session.is_pooled() {
            tracing::info!(shard = %self.name, address = address(options), "goes through a pooler");
        }
        Ok(session)
    }

    /// Cancels what the backend `pid` runs, if that is what it was sent with `message`: the number alone may be another's by
    /// now. False when there is no such backend.
    pub async fn cancel(&self, pid: i32, message: &Message) -> Result<bool, ServerError> {
        self.side.cancel(Sent::to(pid, message.as_str())).await
    }

    /// A small pool, to ask whether the server answers. It may lead through a pooler, hence nothing may be prepared on it.
    pub fn pool(&self, connections: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .connect_lazy_with(settings::behind_a_pooler(&self.options))
    }
}

/// With our name. Whoever has a log of his own would find slow statements in it, with a tenant's data.
fn ours(options: PgConnectOptions) -> PgConnectOptions {
    options
        .application_name("tenantry")
        .disable_statement_logging()
}

/// Where the server is, for people.
fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => directory.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
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
        let cut = home.side.cut().clone();
        let shards = shards.into_iter().map(|mut shard| {
            shard.side.cut_with(cut.clone());
            (shard.name.clone(), shard)
        });
        Self {
            shards: shards.collect(),
            home,
        }
    }

    /// Cancels, once `cut` is cancelled, whatever runs on any of the databases; nothing is sent to them any more.
    #[must_use]
    pub fn cut_by(mut self, cut: &CancellationToken) -> Self {
        for shard in self.shards.values_mut().chain([&mut self.home]) {
            shard.side.cut_with(cut.clone());
        }
        self
    }

    /// So many processes, this one among them, share what may be begun a second on each shard: each has its part of it.
    pub fn share_pace(&self, sharers: usize) {
        for pace in self.shards.values().filter_map(|shard| shard.pace.as_ref()) {
            pace.share(sharers);
        }
    }

    /// With what may be begun a second of `others`, and together with them.
    #[must_use]
    pub fn at_pace_of(mut self, others: &Self) -> Self {
        for (name, shard) in &mut self.shards {
            if let Some(other) = others.shards.get(name) {
                shard.pace.clone_from(&other.pace);
            }
        }
        self
    }

    /// Cancelled when whatever runs is to be cancelled.
    pub fn cut(&self) -> &CancellationToken {
        self.home.side.cut()
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
