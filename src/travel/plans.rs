//! Plans by where schemas stand, each made once, for whoever takes targets from a list a few at a time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::{
    Learnt, Prepared, Standing, Why,
    cohort::{Dirty, Place, ready},
    histories::Histories,
};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head},
    migration::{Direction, Scope},
    plan::{Goal, Stored, plan},
    tenant::Target,
};

/// Where targets are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Aim {
    /// To the goal.
    Forth,
    /// Back, until so many migrations are left, whose hash is this.
    Keep(usize, Digest),
}

/// The plans of one scope on one shard.
pub(crate) struct Plans<'a> {
    fleet: &'a Fleet,
    scope: Scope,
    goal: Goal,
    known: Mutex<HashMap<(Aim, Place), Arc<Known>>>,
    /// Held by whoever asks the shard: nobody else does so for the same meanwhile.
    learning: tokio::sync::Mutex<()>,
}

/// What is to be done with those that stand at one place.
#[derive(Debug)]
pub(crate) struct Known {
    /// How many migrations are applied there.
    pub(crate) applied: usize,
    /// What is to be done: nothing where there is no plan, and nothing can be where there is a reason.
    pub(crate) plan: Result<Option<Prepared>, String>,
    /// Whether the texts of the plan are where its record will refer to them.
    pub(crate) stored: OnceCell<()>,
    /// What those that were moved have taught.
    pub(crate) learnt: Mutex<Option<Learnt>>,
}

/// One target, and what is to be done with it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) target: Target,
    pub(crate) known: Result<(Head, Arc<Known>), Why>,
}

impl<'a> Plans<'a> {
    pub(crate) fn new(fleet: &'a Fleet, scope: Scope, goal: Goal) -> Self {
        Self {
            fleet,
            scope,
            goal,
            known: Mutex::default(),
            learning: tokio::sync::Mutex::default(),
        }
    }

    /// What is to be done with each of these. Asks the shard only where somebody stands at a place that was not seen before.
    pub(crate) async fn find(
        &self,
        aim: Aim,
        standings: &[Standing],
    ) -> Result<Vec<Found>, FleetError> {
        if !self.unknown(aim, standings).is_empty() {
            let learning = self.learning.lock().await;
            // What somebody else has learnt while this one waited is known.
            let unknown = self.unknown(aim, standings).into_iter();
            let mut histories = Histories::new(self.fleet, self.scope);
            let made = self.learn(aim, &mut histories, unknown).await;
            histories.close().await;
            drop(learning);
            made?;
        }
        let found = |standing: &Standing| {
            let known = ready(standing, Dirty::Blocks).map(|head| {
                let known = self.known().get(&(aim, Place::of(&head))).cloned();
                known.map(|known| (head, known))
            });
            // Whoever was moved while its history was read is looked at again, later.
            Some(Found {
                target: standing.target.clone(),
                known: known.transpose()?,
            })
        };
        Ok(standings.iter().filter_map(found).collect())
    }

    /// Those that stand where nothing is known of, place by place.
    fn unknown<'s>(&self, aim: Aim, standings: &'s [Standing]) -> Vec<&'s Standing> {
        let known = self.known();
        let mut unknown: BTreeMap<Place, Vec<&Standing>> = BTreeMap::new();
        for standing in standings {
            if let Ok(head) = ready(standing, Dirty::Blocks) {
                let place = Place::of(&head);
                if !known.contains_key(&(aim, place)) {
                    unknown.entry(place).or_default().push(standing);
                }
            }
        }
        unknown.into_values().flatten().collect()
    }

    async fn learn(
        &self,
        aim: Aim,
        histories: &mut Histories<'_>,
        standings: impl Iterator<Item = &Standing>,
    ) -> Result<(), FleetError> {
        let (groups, _) = histories.groups(standings, Dirty::Blocks).await?;
        for group in groups {
            let applied = &group.applied;
            let goal = match aim {
                Aim::Forth => self.goal,
                Aim::Keep(keep, _) => Goal::Down(applied.len().saturating_sub(keep)),
            };
            let head = applied.last().map(|applied| applied.version);
            let stored = match goal.direction(head) {
                Direction::Up => Stored::new(),
                Direction::Down => histories.downs(applied, &group.targets).await?,
            };
            let known = Known {
                applied: applied.len(),
                plan: self.plan(aim, goal, applied, group.place, &stored),
                stored: OnceCell::new(),
                learnt: Mutex::default(),
            };
            self.known().insert((aim, group.place), Arc::new(known));
        }
        Ok(())
    }

    fn plan(
        &self,
        aim: Aim,
        goal: Goal,
        applied: &[Applied],
        place: Place,
        stored: &Stored,
    ) -> Result<Option<Prepared>, String> {
        if let Aim::Keep(keep, digest) = aim {
            let left = applied.get(..keep);
            if left.is_none_or(|left| Digest::of(left) != digest) {
                return Err("somebody has moved it since, and what the rollout did is not what was applied last".to_owned());
            }
        }
        let standing = crate::plan::Standing {
            applied,
            repeatables: place.repeatables,
            running: place.running,
        };
        let set = self.fleet.set(self.scope);
        match plan(set, standing, goal, stored, self.fleet.out_of_order) {
            Err(refusal) => Err(refusal.to_string()),
            Ok(plan) if plan.is_empty() => Ok(None),
            Ok(plan) => Ok(Some(Prepared::new(
                Arc::new(plan),
                &self.fleet.limits,
                self.scope,
            ))),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(Aim, Place), Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
