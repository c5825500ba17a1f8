//! Histories of the fleet, read as seldom as can be: one representative a digest that the files do not explain.

use std::collections::HashMap;

use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head},
    migration::{Checksum, Scope},
    plan::Stored,
    postgres::Session,
    store::{history, scripts},
    tenant::{ShardName, Target},
};

/// Reads histories, and remembers them by digest.
pub(super) struct Histories<'a> {
    fleet: &'a Fleet,
    known: HashMap<Digest, Vec<Applied>>,
    sessions: HashMap<ShardName, Session>,
}

impl<'a> Histories<'a> {
    pub(super) fn new(fleet: &'a Fleet, scope: Scope) -> Self {
        let all: Vec<_> = fleet
            .set(scope)
            .migrations
            .iter()
            .map(|migration| Applied::of(migration))
            .collect();
        let known = HashMap::from([(Digest::EMPTY, Vec::new()), (Digest::of(&all), all)]);
        Self {
            fleet,
            known,
            sessions: HashMap::new(),
        }
    }

    /// What is applied in a target that stands at `digest`, and so in all of them.
    pub(super) async fn applied(
        &mut self,
        digest: Digest,
        (target, head): &(Target, Head),
    ) -> Result<Vec<Applied>, FleetError> {
        if let Some(applied) = self.known.get(&digest) {
            return Ok(applied.clone());
        }
        let session = self.session(&target.shard).await?;
        let applied = history::applied(session.connection(), head.schema_oid).await?;
        self.known.insert(digest, applied.clone());
        Ok(applied)
    }

    /// The stored down texts of `applied`.
    pub(super) async fn stored(
        &mut self,
        applied: &[Applied],
        shard: &ShardName,
    ) -> Result<Stored, FleetError> {
        let session = self.session(shard).await?;
        Ok(scripts::downs(session.connection(), applied).await?)
    }

    /// The stored texts of these checksums, in no order; what is not there is left out.
    pub(super) async fn texts(
        &mut self,
        checksums: &[Checksum],
        shard: &ShardName,
    ) -> Result<Vec<(Checksum, String)>, FleetError> {
        let session = self.session(shard).await?;
        Ok(scripts::get(session.connection(), checksums).await?)
    }

    /// The session on a shard: one for all that is read there.
    pub(super) async fn session(&mut self, name: &ShardName) -> Result<&mut Session, FleetError> {
        let session = match self.sessions.remove(name) {
            Some(session) => session,
            None => {
                let shard = self.fleet.shards.get(name);
                let unknown = || FleetError::UnknownShard {
                    tenant: "of this cohort".to_owned(),
                    shard: name.clone(),
                };
                self.fleet.shard(shard.ok_or_else(unknown)?).await?
            }
        };
        Ok(self.sessions.entry(name.clone()).or_insert(session))
    }

    pub(super) async fn close(self) {
        for session in self.sessions.into_values() {
            session.close().await;
        }
    }
}
