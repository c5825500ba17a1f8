//! Taking targets back to where they stood once, each to its own place, in one run over the fleet.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use tokio_util::sync::CancellationToken;

use super::{Blocked, Cohort, Cohorts, Observer, Report, Request, Standing, Why, journey::Journey};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest},
    migration::{Scope, Version},
    plan::Goal,
    store::history,
    tenant::{ShardName, Target},
};

/// What is to be left in which target.
#[derive(Debug, Clone, Default)]
pub struct Back {
    keep: BTreeMap<Target, Keep>,
    floor: Option<Version>,
    mark: String,
}

/// What of a target's migrations was applied by whoever it is that is taken back; none where the histories do not tell.
type Own = Option<BTreeSet<Version>>;

/// What is to be left in a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keep {
    /// How many migrations.
    pub applied: usize,
    /// Their hash.
    pub digest: Digest,
    /// How many there were when what is to be taken back was done. Where there are more, somebody has moved it since.
    pub of: usize,
    /// The hash of these; none where it was not noted.
    pub left: Option<Digest>,
}

impl Back {
    /// What is to be left in each target, and the highest version that is left in the shared schemas: no tenant may stay
    /// above that where they are taken back. The histories name who did it, and those names end with `mark`: what others have
    /// applied is not taken back.
    pub fn new(keep: BTreeMap<Target, Keep>, floor: Option<Version>, mark: String) -> Self {
        Self { keep, floor, mark }
    }

    /// Whether there is nothing to be taken back.
    pub fn is_empty(&self) -> bool {
        self.keep.is_empty()
    }

    /// Whether this target is to be taken back.
    pub fn holds(&self, target: &Target) -> bool {
        self.keep.contains_key(target)
    }

    /// What is left in the shared schemas.
    pub fn goal(&self) -> Goal {
        self.floor.map_or(Goal::Empty, Goal::DownTo)
    }

    /// Sorts targets into cohorts, and plans for each. Whoever was moved since is blocked; who is no part of this is left out.
    ///
    /// # Errors
    /// As [`Cohorts::form`].
    pub async fn form<'a>(
        &self,
        fleet: &Fleet,
        scope: Scope,
        standings: impl IntoIterator<Item = &'a Standing>,
    ) -> Result<Cohorts, FleetError> {
        let mut all = Cohorts {
            scope,
            cohorts: Vec::new(),
            blocked: Vec::new(),
        };
        let mut by_shard: BTreeMap<&ShardName, Vec<(Keep, &Standing)>> = BTreeMap::new();
        for standing in standings {
            if let Some(keep) = self.keep.get(&standing.target) {
                let shard = by_shard.entry(&standing.target.shard).or_default();
                shard.push((*keep, standing));
            }
        }
        let mut alike: BTreeMap<(Keep, Own), Vec<&Standing>> = BTreeMap::new();
        for (shard, of_shard) in by_shard {
            match self.own(fleet, shard, &of_shard).await {
                Ok(mut own) => {
                    for (keep, standing) in of_shard {
                        let own = own.remove(standing.target.schema.as_str());
                        // A tenantry of before has noted less, here and in the histories.
                        let own = keep.left.map(|_| own.unwrap_or_default());
                        alike.entry((keep, own)).or_default().push(standing);
                    }
                }
                Err(error) if error.is_of_one_shard() && fleet.shards.iter().count() > 1 => {
                    let why = Why::Unreachable(error.to_string().into());
                    all.blocked
                        .extend(of_shard.into_iter().map(|(_, standing)| Blocked {
                            target: standing.target.clone(),
                            why: why.clone(),
                        }));
                }
                Err(error) => return Err(error),
            }
        }
        for ((keep, own), standings) in alike {
            let goal = |applied: &[Applied]| way(applied, keep, own.as_ref());
            let mut some = Cohorts::form_by(fleet, scope, standings, goal).await?;
            all.cohorts.append(&mut some.cohorts);
            all.blocked.append(&mut some.blocked);
        }
        all.cohorts.sort_by_key(Cohort::version);
        Ok(all)
    }

    /// What is applied in those schemas of a shard that was applied last by whoever it is that is taken back. Asks nobody where
    /// the shard is known to be away.
    async fn own(
        &self,
        fleet: &Fleet,
        shard: &ShardName,
        standings: &[(Keep, &Standing)],
    ) -> Result<BTreeMap<String, BTreeSet<Version>>, FleetError> {
        let mut own: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let there = standings
            .iter()
            .filter(|(_, standing)| standing.away.is_none());
        let names: Vec<_> = there
            .map(|(_, standing)| standing.target.schema.as_str())
            .collect();
        let Some(shard) = fleet.shards.get(shard).filter(|_| !names.is_empty()) else {
            return Ok(own);
        };
        let mut session = fleet.shard(shard).await?;
        let rows = history::applied_by(session.connection(), &names, &self.mark).await?;
        session.close().await;
        for (schema, version) in rows {
            own.entry(schema).or_default().insert(version);
        }
        Ok(own)
    }
}

/// How far a target goes back; none where it was moved since, or where others have applied any of what would be taken back.
fn way(applied: &[Applied], keep: Keep, own: Option<&BTreeSet<Version>>) -> Option<Goal> {
    let (left, back) = applied.split_at_checked(keep.applied)?;
    let is_own = |applied: &Applied| own.is_none_or(|own| own.contains(&applied.version));
    let is_as_it_was = match applied.len().cmp(&keep.of) {
        Ordering::Less => true,
        Ordering::Equal => keep.left.is_none_or(|left| Digest::of(applied) == left),
        Ordering::Greater => false,
    };
    (is_as_it_was && Digest::of(left) == keep.digest && back.iter().all(is_own))
        .then_some(Goal::Down(back.len()))
}

/// Takes targets back, as [`travel`](super::travel) does: of those that `request` selects those that `back` holds. The goal
/// of the request has to be that of `back`.
///
/// # Errors
/// As [`travel`](super::travel).
pub async fn take_back(
    fleet: &Fleet,
    request: &Request<'_>,
    back: &Back,
    stop: &CancellationToken,
    observer: &dyn Observer,
) -> Result<Report, FleetError> {
    let select = |standing: &Standing| back.holds(&standing.target) && (request.select)(standing);
    let request = &Request {
        select: &select,
        ..*request
    };
    let journey = Journey {
        fleet,
        request,
        back: Some(back),
        stop,
        observer,
    };
    journey.travel().await
}
