//! What every bench needs: a durable scratch server of its own, and medians.
#![expect(
    dead_code,
    reason = "every bench is a program of its own and uses some of this"
)]

pub(crate) mod fleet;
pub(crate) mod rollout;

use std::path::PathBuf;

use tenantry::{
    sql::Ident,
    verify::scratch::{Options, Purpose, Server, Source},
};

/// A server that writes as a production server does.
pub(crate) struct Bench {
    server: Server,
}

impl Bench {
    /// From local binaries where there are any, since a container's file system is measured as well.
    pub(crate) async fn start() -> Self {
        Self::of(Self::options()).await
    }

    /// The same with room for locks as PostgreSQL has by itself: for 100 connections, 64 for each.
    pub(crate) async fn start_with_room() -> Self {
        Self::of(Self::options().max_connections(100)).await
    }

    /// The same with pg_stat_statements, which keeps an entry for each text that it has not met: for counting queries.
    pub(crate) async fn start_counting() -> Self {
        let counting = Self::options().setting("shared_preload_libraries", "pg_stat_statements");
        Self::of(counting).await
    }

    fn options() -> Options {
        Options::new(env!("CARGO_BIN_EXE_tenantry"))
            .sources([Source::Local, Source::Container])
            .purpose(Purpose::Durable)
    }

    async fn of(options: Options) -> Self {
        Self {
            server: Server::start(&options).await.unwrap(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// The URL of a new database.
    pub(crate) async fn database(&self, name: &str) -> String {
        let name = Ident::new(name).unwrap();
        self.server.create_database(&name).await.unwrap()
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.server.kind()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await.unwrap();
    }
}

/// The middle one; of an even number the upper middle.
pub(crate) fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A client program of PostgreSQL: on the PATH, else beside Debian's server.
pub(crate) fn program(name: &str) -> PathBuf {
    let beside = |directory: PathBuf| directory.join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|d| d.path().join("bin"));
    std::env::split_paths(&path)
        .chain(debian)
        .map(beside)
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is needed: install PostgreSQL's client programs"))
}
