//! Histories of the fleet, read as seldom as can be: one representative a digest that the files do not explain.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Blocked, Standing, Survey,
    cohort::{Dirty, Place, places},
};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head},
    migration::Scope,
    postgres::Session,
    store::history,
    tenant::{ShardName, Target},
};

/// So often is looked again where targets stand that are moved while their histories are read.
const LOOKS: usize = 3;

/// So many targets of one digest are asked for their history before it is looked again.
const REPRESENTATIVES: usize = 3;

/// Reads histories, and remembers them by digest.
pub(super) struct Histories<'a> {
    fleet: &'a Fleet,
    known: HashMap<Digest, Vec<Applied>>,
    sessions: HashMap<ShardName, Session>,
}

/// Targets that stand at the same place, and what is applied in them.
pub(super) struct Group {
    pub(super) place: Place,
    pub(super) applied: Vec<Applied>,
    pub(super) targets: Vec<(Target, Head)>,
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

    /// Sorts targets by where they stand, and says what is applied there. Targets that somebody moves meanwhile are
    /// looked for again.
    pub(super) async fn groups<'s>(
        &mut self,
        standings: impl IntoIterator<Item = &'s Standing>,
        dirty: Dirty,
    ) -> Result<(Vec<Group>, Vec<Blocked>), FleetError> {
        let (mut open, mut blocked) = places(standings, dirty);
        let mut groups: BTreeMap<Place, Group> = BTreeMap::new();
        for look in 1.. {
            let mut moved = BTreeSet::new();
            for (place, mut targets) in open {
                if let Some(group) = groups.get_mut(&place) {
                    group.targets.append(&mut targets);
                } else if let Some(applied) = self.applied(place.digest, &targets).await? {
                    let group = Group {
                        place,
                        applied,
                        targets,
                    };
                    groups.insert(place, group);
                } else {
                    moved.extend(targets.into_iter().map(|(target, _)| target));
                }
            }
            match moved.first() {
                None => break,
                Some(first) if look == LOOKS => return Err(FleetError::Unsteady(first.clone())),
                Some(_) => {}
            }
            let survey = Survey::take(self.fleet).await?;
            let standings = survey.shared.iter().chain(&survey.tenants);
            let again;
            (open, again) = places(standings.filter(|s| moved.contains(&s.target)), dirty);
            blocked.extend(again);
        }
        Ok((groups.into_values().collect(), blocked))
    }

    /// What is applied in targets that stand at `digest`. None when those that were asked are not there any more: the
    /// heads were read before, and without a lock.
    async fn applied(
        &mut self,
        digest: Digest,
        targets: &[(Target, Head)],
    ) -> Result<Option<Vec<Applied>>, FleetError> {
        if let Some(applied) = self.known.get(&digest) {
            return Ok(Some(applied.clone()));
        }
        for (target, head) in targets.iter().take(REPRESENTATIVES) {
            let session = self.session(&target.shard).await?;
            let applied = history::applied(session.connection(), head).await?;
            if Digest::of(&applied) == digest {
                self.known.insert(digest, applied.clone());
                return Ok(Some(applied));
            }
        }
        Ok(None)
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
