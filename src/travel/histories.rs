//! Histories of the fleet, read as seldom as can be: one representative a digest that the files do not explain.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Blocked, Standing, Survey, Why,
    cohort::{Dirty, Place, places},
};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head},
    migration::Scope,
    plan::Stored,
    postgres::Session,
    store::{history, scripts},
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
    /// All that the files have, and by its digest how much of that each beginning of it is.
    all: Vec<Applied>,
    beginnings: HashMap<Digest, usize>,
    sessions: HashMap<ShardName, Session>,
    /// Shards that could not be asked, and why.
    away: BTreeMap<ShardName, Arc<str>>,
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
        let beginnings = std::iter::once(Digest::EMPTY).chain(Digest::of_each_beginning(&all));
        Self {
            fleet,
            known: HashMap::new(),
            beginnings: beginnings.zip(0..).collect(),
            all,
            sessions: HashMap::new(),
            away: BTreeMap::new(),
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
                    continue;
                }
                let applied = self.applied(place.digest, &targets).await?;
                blocked.extend(self.leave_out(&mut targets));
                if targets.is_empty() {
                    continue;
                }
                if let Some(applied) = applied {
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
        let beginning = self.beginnings.get(&digest);
        let known = beginning.and_then(|many| self.all.get(..*many));
        if let Some(applied) = known.or(self.known.get(&digest).map(Vec::as_slice)) {
            return Ok(Some(applied.to_vec()));
        }
        let mut asked = 0;
        for (target, head) in targets {
            if asked == REPRESENTATIVES {
                break;
            }
            let Some(applied) = self.ask(target, head).await? else {
                continue;
            };
            asked += 1;
            if Digest::of(&applied) == digest {
                self.known.insert(digest, applied.clone());
                return Ok(Some(applied));
            }
        }
        Ok(None)
    }

    /// What is applied in one target; none where its shard cannot be asked, which is then not asked again.
    async fn ask(
        &mut self,
        target: &Target,
        head: &Head,
    ) -> Result<Option<Vec<Applied>>, FleetError> {
        let shard = &target.shard;
        if self.away.contains_key(shard) {
            return Ok(None);
        }
        let answer = async {
            let session = self.session(shard).await?;
            Ok::<_, FleetError>(history::applied(session.connection(), head).await?)
        };
        match answer.await {
            Ok(applied) => Ok(Some(applied)),
            // Of the only shard nothing is left to go on with.
            Err(error) if error.is_of_one_shard() && self.fleet.shards.iter().count() > 1 => {
                self.sessions.remove(shard);
                self.away.insert(shard.clone(), error.to_string().into());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes out those targets whose shard cannot be asked.
    fn leave_out(&self, targets: &mut Vec<(Target, Head)>) -> Vec<Blocked> {
        let away = targets.extract_if(.., |(target, _)| self.away.contains_key(&target.shard));
        let blocked = away.filter_map(|(target, _)| {
            let why = Why::Unreachable(self.away.get(&target.shard)?.clone());
            Some(Blocked { target, why })
        });
        blocked.collect()
    }

    /// The texts for the way back of what is applied in `targets`: any of their shards has them all.
    pub(super) async fn downs(
        &mut self,
        applied: &[Applied],
        targets: &[(Target, Head)],
    ) -> Result<Stored, FleetError> {
        let shards: BTreeSet<_> = targets.iter().map(|(target, _)| &target.shard).collect();
        let mut last = None;
        for shard in shards {
            let stored = async {
                let session = self.session(shard).await?;
                Ok::<_, FleetError>(scripts::downs(session.connection(), applied).await?)
            };
            match stored.await {
                Ok(stored) => return Ok(stored),
                Err(error) if error.is_of_one_shard() => {
                    self.sessions.remove(shard);
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        last.map_or_else(|| Ok(Stored::new()), Err)
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
