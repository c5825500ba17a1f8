//! Taking targets back to where they stood once, each to its own place, in one run over the fleet.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::{Cohort, Cohorts, Observer, Report, Request, Standing, journey::Journey};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest},
    migration::{Scope, Version},
    plan::Goal,
    tenant::Target,
};

/// What is to be left in which target.
#[derive(Debug, Clone, Default)]
pub struct Back {
    keep: BTreeMap<Target, Keep>,
    floor: Option<Version>,
}

/// What is to be left in a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Keep {
    /// How many migrations.
    pub applied: usize,
    /// Their hash.
    pub digest: Digest,
    /// How many there were when what is to be taken back was done. Where there are more, somebody has moved it since.
    pub of: usize,
}

impl Back {
    /// What is to be left in each target, and the highest version that is left in the shared schemas: no tenant may stay
    /// above that where they are taken back.
    pub fn new(keep: BTreeMap<Target, Keep>, floor: Option<Version>) -> Self {
        Self { keep, floor }
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
        let mut by_keep: BTreeMap<Keep, Vec<&Standing>> = BTreeMap::new();
        for standing in standings {
            if let Some(keep) = self.keep.get(&standing.target) {
                by_keep.entry(*keep).or_default().push(standing);
            }
        }
        let mut all = Cohorts {
            scope,
            cohorts: Vec::new(),
            blocked: Vec::new(),
        };
        for (keep, standings) in by_keep {
            let goal = |applied: &[Applied]| way(applied, keep);
            let mut some = Cohorts::form_by(fleet, scope, standings, goal).await?;
            all.cohorts.append(&mut some.cohorts);
            all.blocked.append(&mut some.blocked);
        }
        all.cohorts.sort_by_key(Cohort::version);
        Ok(all)
    }
}

fn way(applied: &[Applied], keep: Keep) -> Option<Goal> {
    let left = applied.get(..keep.applied)?;
    let is_as_it_was = applied.len() <= keep.of && Digest::of(left) == keep.digest;
    is_as_it_was.then(|| Goal::Down(applied.len() - keep.applied))
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
