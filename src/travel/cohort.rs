//! Cohorts: targets that share one plan, so that planning does not grow with the fleet.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Standing,
    histories::{Group, Histories},
};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head, Running},
    migration::{Direction, MigrationSet, Scope, Version},
    plan::{Goal, Plan, Refusal, Stored, plan},
    store::heads::Halfway,
    tenant::{ShardName, Target},
};

/// Targets that stand at the same place and so share one plan.
#[derive(Debug, Clone)]
pub struct Cohort {
    /// What is applied in them.
    pub applied: Vec<Applied>,
    /// What they are in the middle of.
    pub running: Option<Running>,
    /// What would take them to the goal, or why nothing can.
    pub plan: Result<Plan, Refusal>,
    /// The targets and their heads.
    pub targets: Vec<(Target, Head)>,
}

impl Cohort {
    /// The highest version applied.
    pub fn version(&self) -> Option<Version> {
        self.applied.last().map(|applied| applied.version)
    }

    /// Whether there is nothing to do.
    pub(super) fn stands_still(&self) -> bool {
        self.plan.as_ref().is_ok_and(Plan::is_empty)
    }
}

/// A target for which there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Which one.
    pub target: Target,
    /// What is in the way.
    pub why: Why,
}

/// What is in a target's way, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.what(), self.remedy())]
pub enum Why {
    /// It stopped half-way; at which statement, where that is known.
    Dirty(Version, Option<String>),
    /// It is in the middle of a migration; at which statement, where that is known.
    Unfinished(Running, Option<String>),
    /// Its schema is no more, or another one bears its name.
    Gone,
    /// The same, of a shared schema.
    SharedGone,
    /// Its schema has another name now.
    Renamed(String),
    /// It was never pinned.
    Unknown,
    /// The same, of a shared schema.
    Unmade,
    /// What is applied below what is to be taken back is not what was there before.
    MovedSince,
    /// Its shard cannot be worked on; what the server or the driver said.
    Unreachable(Arc<str>),
}

impl Why {
    /// What is in the way.
    pub fn what(&self) -> String {
        match self {
            Self::Dirty(version, at) => {
                format!("it stopped half-way at {version}{}", within(at.as_deref()))
            }
            Self::Unfinished(running, at) => format!(
                "it is in the middle of {} on the way {}{}",
                running.version,
                running.direction,
                within(at.as_deref())
            ),
            Self::Gone | Self::SharedGone => "its schema was dropped or made anew".to_owned(),
            Self::Renamed(name) => format!("its schema was renamed to {name}"),
            Self::Unknown => "its shard knows nothing of it".to_owned(),
            Self::Unmade => "it is not there yet".to_owned(),
            Self::MovedSince => {
                "somebody has moved it since, and what is to be taken back is not what was applied last"
                    .to_owned()
            }
            Self::Unreachable(why) => format!("its shard cannot be worked on: {why}"),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unfinished(running, _) => format!(
                "`tenantry {}` goes on with it; or bring the schema to one side by hand, then `tenantry force {} TENANT` when \
                 all of the migration is there, `tenantry repair --clear-dirty TENANT` when the schema stands where its \
                 history says",
                match running.direction {
                    Direction::Up => "up TENANT",
                    Direction::Down => "down --steps 1 TENANT",
                },
                running.version
            ),
            Self::Dirty(version, _) => format!(
                "look at the schema; then `tenantry force {version} TENANT` when all of the migration is in it, or \
                 `tenantry repair --clear-dirty TENANT` when it stands where its history says"
            ),
            Self::Gone => {
                "restore the schema, then `tenantry tenant import TENANT`; or `tenantry tenant retire TENANT`"
                    .to_owned()
            }
            Self::SharedGone => {
                "restore the schema, then `tenantry baseline VERSION --scope shared` gives it its history back"
                    .to_owned()
            }
            Self::Renamed(name) => format!(
                "rename {name} back, or take another schema of that name with `tenantry tenant import TENANT`"
            ),
            Self::Unmade => "`tenantry up` makes it".to_owned(),
            Self::MovedSince => {
                "`tenantry tenant show TENANT` tells what was applied when, `tenantry down TENANT --to VERSION` takes it \
                 back all the same"
                    .to_owned()
            }
            Self::Unknown => "`tenantry tenant import TENANT` takes the schema as it is".to_owned(),
            Self::Unreachable(_) => "mend that, then try again".to_owned(),
        }
    }
}

/// The cohorts of one scope.
#[derive(Debug, Clone)]
pub struct Cohorts {
    /// The scope.
    pub scope: Scope,
    /// By version.
    pub cohorts: Vec<Cohort>,
    /// Targets for which there can be no plan.
    pub blocked: Vec<Blocked>,
}

impl Cohorts {
    /// Sorts targets into cohorts and plans for each. Reads one representative history a digest that the files do not
    /// explain.
    ///
    /// # Errors
    /// A database; or targets that are moved all the time while their histories are read.
    pub async fn form<'a>(
        fleet: &Fleet,
        scope: Scope,
        standings: impl IntoIterator<Item = &'a Standing>,
        goal: Goal,
    ) -> Result<Self, FleetError> {
        Self::form_by(fleet, scope, standings, |_| Some(goal)).await
    }

    /// The same, each to the goal that follows from what is applied; those without one are blocked.
    pub(super) async fn form_by<'a>(
        fleet: &Fleet,
        scope: Scope,
        standings: impl IntoIterator<Item = &'a Standing>,
        goal: impl Fn(&[Applied]) -> Option<Goal>,
    ) -> Result<Self, FleetError> {
        let mut histories = Histories::new(fleet, scope);
        let (groups, mut blocked) = histories.groups(standings, Dirty::Blocks).await?;
        let mut cohorts = Vec::new();
        for Group {
            place,
            applied,
            targets,
        } in groups
        {
            let Some(goal) = goal(&applied) else {
                let why = Why::MovedSince;
                blocked.extend(targets.into_iter().map(|(target, _)| Blocked {
                    target,
                    why: why.clone(),
                }));
                continue;
            };
            let head = applied.last().map(|applied| applied.version);
            let stored = match goal.direction(head) {
                Direction::Up => Stored::new(),
                Direction::Down => histories.downs(&applied, &targets).await?,
            };
            let standing = crate::plan::Standing {
                applied: &applied,
                repeatables: place.repeatables,
                running: place.running,
            };
            let plan = plan(
                fleet.set(scope),
                standing,
                goal,
                &stored,
                fleet.out_of_order,
            );
            cohorts.push(Cohort {
                applied,
                running: place.running,
                plan,
                targets,
            });
        }
        histories.close().await;
        cohorts.sort_by_key(Cohort::version);
        Ok(Self {
            scope,
            cohorts,
            blocked,
        })
    }

    /// Refusals, with the number of targets that each of them holds up.
    pub fn refusals(&self) -> impl Iterator<Item = (&Refusal, usize)> {
        self.cohorts
            .iter()
            .filter_map(|cohort| Some((cohort.plan.as_ref().err()?, cohort.targets.len())))
    }

    /// Blocks the targets on these shards, which turned out to be unwell.
    pub(super) fn leave_out(&mut self, unwell: &BTreeMap<ShardName, Arc<str>>) {
        for cohort in &mut self.cohorts {
            let targets = cohort
                .targets
                .extract_if(.., |(target, _)| unwell.contains_key(&target.shard));
            let blocked = targets.filter_map(|(target, _)| {
                let why = Why::Unreachable(unwell.get(&target.shard)?.clone());
                Some(Blocked { target, why })
            });
            self.blocked.extend(blocked);
        }
    }

    /// Whether any file or any history of these has this version.
    pub fn knows(&self, set: &MigrationSet, version: Version) -> bool {
        let applied = |cohort: &Cohort| {
            cohort
                .applied
                .iter()
                .any(|applied| applied.version == version)
        };
        set.get(version).is_some() || self.cohorts.iter().any(applied)
    }
}

/// What targets that can be told the same have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) digest: Digest,
    pub(super) repeatables: Digest,
    pub(super) dirty: Option<Version>,
    pub(super) running: Option<Running>,
}

impl Place {
    pub(super) fn of(head: &Head) -> Self {
        Self {
            digest: head.digest,
            repeatables: head.repeatables,
            dirty: head.dirty,
            running: head.running,
        }
    }
}

/// Targets and their heads, by where they stand.
pub(super) type Places = BTreeMap<Place, Vec<(Target, Head)>>;

/// What to do with a target that stopped half-way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dirty {
    /// It is left out.
    Blocks,
    /// It is left out, and so is one that is in the middle of a migration.
    BlocksUnfinished,
    /// It is taken as it is.
    Passes,
}

/// Sorts targets by where they stand, and leaves out those whose schema is not the one that was pinned.
pub(super) fn places<'a>(
    standings: impl IntoIterator<Item = &'a Standing>,
    dirty: Dirty,
) -> (Places, Vec<Blocked>) {
    let (mut places, mut blocked) = (Places::new(), Vec::new());
    for standing in standings {
        let target = standing.target.clone();
        match ready(standing, dirty) {
            Ok(head) => {
                places
                    .entry(Place::of(&head))
                    .or_default()
                    .push((target, head));
            }
            Err(why) => blocked.push(Blocked { target, why }),
        }
    }
    (places, blocked)
}

/// At which statement, to be said after the version.
fn within(at: Option<&str>) -> String {
    at.map_or_else(String::new, |at| format!(", {at}"))
}

/// The head of a standing that can be moved.
pub(crate) fn ready(standing: &Standing, dirty: Dirty) -> Result<Head, Why> {
    if let Some(why) = &standing.away {
        return Err(Why::Unreachable(why.clone()));
    }
    let Some(pinned) = &standing.pinned else {
        return Err(match standing.scope() {
            Scope::Shared => Why::Unmade,
            Scope::Tenant => Why::Unknown,
        });
    };
    let at = || pinned.halfway.as_ref().map(Halfway::to_string);
    let running = pinned.head.running;
    match (&pinned.present, pinned.head.dirty) {
        (None, _) if standing.tenant.is_none() => Err(Why::SharedGone),
        (None, _) => Err(Why::Gone),
        (Some(name), _) if *name != pinned.head.schema => Err(Why::Renamed(name.clone())),
        (_, Some(version)) if dirty != Dirty::Passes => Err(Why::Dirty(version, at())),
        _ => match running.filter(|_| dirty == Dirty::BlocksUnfinished) {
            Some(running) => Err(Why::Unfinished(running, at())),
            None => Ok(pinned.head.clone()),
        },
    }
}
