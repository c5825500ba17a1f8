//! Where copies are made: in databases of their own on a scratch server, or beside the originals.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::postgres::PgConnectOptions;

use super::{
    RehearseError, copy,
    leftover::{self, drop_schema},
};
use crate::{
    fleet::{Fleet, FleetError},
    postgres::{Message, Outcome, Session, Shard, Shards},
    sql::{Ident, InvalidIdent},
    store::heads,
    verify::scratch::Server,
};

/// Where copies are made.
#[derive(Clone, Copy)]
pub enum Ground<'a> {
    /// On a server on which nothing can be broken.
    Scratch {
        /// The server.
        server: &'a Server,
        /// SQL for what a database has before anything else, such as roles.
        prepare: Option<&'a str>,
    },
    /// In the databases of the fleet, each in a schema that goes again.
    InPlace,
}

/// Where the copies of one shard are made.
pub(super) struct Stage {
    pub(super) in_place: bool,
    /// The database.
    to: Shard,
    /// The fleet as it would be with nothing but that.
    fleet: Fleet,
    /// What the reader has to know of it.
    pub(super) notes: Vec<String>,
}

/// What a shard's own database has beside its schemas.
pub(super) struct Original {
    extensions: Vec<(String, String)>,
    /// The version of its PostgreSQL.
    major: i32,
    /// Copies that a rehearsal has left there which was killed.
    dropped: Vec<String>,
}

impl Original {
    /// Goes to the database by the way that copying takes. What goes wrong is this one shard's.
    pub(super) async fn see(shard: &Shard, ground: Ground<'_>) -> Result<Self, RehearseError> {
        let mut session = shard.connect_directly().await?;
        let dropped = match ground {
            Ground::InPlace => leftover::clear(&mut session).await?,
            Ground::Scratch { .. } => Vec::new(),
        };
        let original = Self {
            extensions: extensions(&mut session).await?,
            major: major(&mut session).await?,
            dropped,
        };
        session.close().await;
        Ok(original)
    }
}

/// The schema for a copy.
pub(super) struct Spot {
    pub(super) schema: Ident,
    pub(super) oid: u32,
    /// Who drops it.
    keeper: Session,
}

impl Stage {
    /// Makes a database for the copies of `shard`, with the extensions that are there; or finds the way to its own.
    pub(super) async fn open(
        fleet: &Fleet,
        shard: &Shard,
        ground: Ground<'_>,
        original: &Original,
    ) -> Result<Self, RehearseError> {
        match ground {
            Ground::InPlace => Ok(Self::in_place(fleet, shard, original)),
            Ground::Scratch { server, prepare } => {
                let url = server.create_database(&database_name()?).await?;
                let options = PgConnectOptions::from_str(&url)
                    .map_err(|_| FleetError::Url("of the scratch server".to_owned()))?;
                let to = Shard::new(shard.name.clone(), options, 1);
                let fleet = Fleet {
                    shards: Shards::new(to.clone(), [to.clone()]),
                    ..fleet.clone()
                };
                let mut stage = Self {
                    in_place: false,
                    to,
                    fleet,
                    notes: Vec::new(),
                };
                stage.furnish(shard, prepare, original).await?;
                Ok(stage)
            }
        }
    }

    fn in_place(fleet: &Fleet, shard: &Shard, original: &Original) -> Self {
        let notes = original.dropped.iter().map(|schema| {
            format!(
                "{schema} on shard {} was left by a rehearsal that was killed: dropped",
                shard.name
            )
        });
        Self {
            in_place: true,
            to: shard.clone(),
            fleet: fleet.clone(),
            notes: notes.collect(),
        }
    }

    /// What the original has beside its schemas.
    async fn furnish(
        &mut self,
        shard: &Shard,
        prepare: Option<&str>,
        original: &Original,
    ) -> Result<(), RehearseError> {
        let mut session = self.session().await?;
        for schema in &self.fleet.limits.extra_search_path {
            let create = format!("CREATE SCHEMA IF NOT EXISTS {schema}");
            copy::run(&mut session, create, "make a schema of the search path").await?;
        }
        if let Some(prepare) = prepare {
            copy::run(&mut session, prepare.to_owned(), "run what --prepare names").await?;
        }
        for (extension, schema) in &original.extensions {
            let (name, schema) = (Ident::new(extension)?, Ident::new(schema)?);
            let create = format!(
                "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {schema}"
            );
            if let Outcome::Refused { error, .. } = session.send(&Message::vouched(create)).await? {
                let note = format!("the scratch server has no extension {extension}: {error}");
                self.notes.push(note);
            }
        }
        let (here, there) = (original.major, major(&mut session).await?);
        if here != there {
            let note = format!(
                "shard {} runs PostgreSQL {here}, the scratch server {there}: locks and rewrites may differ",
                shard.name
            );
            self.notes.push(note);
        }
        session.close().await;
        Ok(())
    }

    /// A session where the copies are.
    pub(super) async fn session(&self) -> Result<Session, RehearseError> {
        if self.in_place {
            Ok(self.to.connect_directly().await?)
        } else {
            Ok(self.fleet.shard(&self.to).await?)
        }
    }

    /// An empty schema for the copy of `original`: of the same name, where that is free.
    pub(super) async fn make(&self, original: &Ident) -> Result<Spot, RehearseError> {
        let mut keeper = self.session().await?;
        let schema = if self.in_place {
            leftover::make(&mut keeper).await?
        } else {
            let create = format!("CREATE SCHEMA IF NOT EXISTS {original}");
            copy::run(&mut keeper, create, "make a schema for the copy").await?;
            original.clone()
        };
        let oid = heads::present_oid(keeper.connection(), &schema).await;
        let oid = oid.map_err(FleetError::from)?.unwrap_or_default();
        Ok(Spot {
            schema,
            oid,
            keeper,
        })
    }
}

impl Spot {
    /// Drops the copy.
    pub(super) async fn clear(mut self) -> Result<(), RehearseError> {
        drop_schema(&mut self.keeper, &self.schema).await?;
        self.leave().await;
        Ok(())
    }

    /// Leaves the copy where it is.
    pub(super) async fn leave(self) {
        self.keeper.close().await;
    }
}

/// The extensions of a database, and the schemas they are in.
async fn extensions(session: &mut Session) -> Result<Vec<(String, String)>, RehearseError> {
    sqlx::query_as(
        "select e.extname::text, n.nspname::text
           from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
          where e.extname <> 'plpgsql' order by e.oid",
    )
    .fetch_all(session.connection())
    .await
    .map_err(RehearseError::server("list the extensions"))
}

async fn major(session: &mut Session) -> Result<i32, RehearseError> {
    sqlx::query_scalar("select pg_catalog.current_setting('server_version_num')::int4 / 10000")
        .fetch_one(session.connection())
        .await
        .map_err(RehearseError::server("ask for the server's version"))
}

/// A name that no other database of the server has: several processes may share one that is reached by URL.
fn database_name() -> Result<Ident, InvalidIdent> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Ident::new(format!("tenantry_rehearse_{}_{number}", std::process::id()))
}
