//! What trials are made from: a server, the sets as they were read once, and what each database has before its first
//! migration.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use sqlx::postgres::PgConnectOptions;
use tokio::sync::OnceCell;

use super::{VerifyError, roles::Roles, scratch::Server};
use crate::{
    config::Settings,
    fleet::{Fleet, FleetError},
    postgres::{Shard, Shards},
    sql::{Ident, InvalidIdent},
    tenant::ShardName,
};

/// The only shard of a scratch database.
pub(super) const SHARD: &str = "scratch";

/// What trials are made from.
pub(super) struct Ground<'a> {
    server: &'a Server,
    /// The sets and the limits; its shard is none that is worked on.
    pub(super) fleet: Fleet,
    /// SQL for what a database has before its first migration.
    pub(super) prepare: Option<&'a str>,
    /// What the scripts do to roles.
    pub(super) roles: Roles,
    /// The roles that the scripts make and that were not there before: they are ours to drop.
    ours: OnceCell<Vec<Ident>>,
    /// How many databases there are.
    databases: AtomicUsize,
}

impl<'a> Ground<'a> {
    /// Reads the sets.
    pub(super) fn new(
        server: &'a Server,
        settings: &Settings,
        prepare: Option<&'a str>,
    ) -> Result<Self, VerifyError> {
        let mut fleet = Fleet::on(shards(server.url())?, settings)?;
        // Here the migrations are to be seen at work.
        fleet.structure = None;
        let mut roles = Roles::default();
        roles.add(&fleet.shared);
        roles.add(&fleet.tenant);
        roles.add_prepared(prepare.unwrap_or_default());
        Ok(Self {
            server,
            fleet,
            prepare,
            roles,
            ours: OnceCell::new(),
            databases: AtomicUsize::new(0),
        })
    }

    /// An empty database.
    pub(super) async fn database(&self) -> Result<(Ident, Fleet), VerifyError> {
        let name = name()?;
        self.ours().await?;
        let url = self.server.create_database(&name).await?;
        self.databases.fetch_add(1, Ordering::Relaxed);
        Ok((name, self.at(&url)?))
    }

    /// A copy of a database to which nobody is connected.
    pub(super) async fn copy(&self, original: &Ident) -> Result<(Ident, Fleet), VerifyError> {
        let name = name()?;
        let url = self.server.copy_database(&name, original).await?;
        self.databases.fetch_add(1, Ordering::Relaxed);
        Ok((name, self.at(&url)?))
    }

    /// Drops a database; with the last one, the roles that were made in it, so that the next one finds what the first found.
    pub(super) async fn drop(&self, database: &Ident) -> Result<(), VerifyError> {
        self.server.drop_database(database).await?;
        let was_last = self.databases.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && self.roles.spoken_of.is_some() {
            self.server.drop_roles(self.ours().await?).await?;
        }
        Ok(())
    }

    async fn ours(&self) -> Result<&[Ident], VerifyError> {
        let made = || async {
            let made: Vec<_> = self.roles.made.iter().cloned().collect();
            self.server.reserve_roles(made).await
        };
        Ok(self.ours.get_or_try_init(made).await?)
    }

    fn at(&self, url: &str) -> Result<Fleet, FleetError> {
        Ok(Fleet {
            shards: shards(url)?,
            ..self.fleet.clone()
        })
    }
}

/// A name that no other database of the server has: several processes may share one that is reached by URL.
fn name() -> Result<Ident, InvalidIdent> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Ident::new(format!("tenantry_verify_{}_{number}", std::process::id()))
}

fn shards(url: &str) -> Result<Shards, FleetError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| FleetError::Url("of the scratch server".to_owned()))?;
    let shard = Shard::new(ShardName::new(SHARD), options, 1);
    Ok(Shards::new(shard.clone(), [shard]))
}
