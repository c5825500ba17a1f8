//! Cohorts: targets that share one plan, so that planning does not grow with the fleet.

use std::collections::{BTreeMap, HashMap};

use super::Standing;
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head},
    migration::{Direction, MigrationSet, Scope, Version},
    plan::{Goal, Plan, Refusal, Stored, plan},
    postgres::Session,
    store::{history, scripts},
    tenant::{ShardName, Target},
};

/// Targets that stand at the same place and so share one plan.
#[derive(Debug, Clone)]
pub struct Cohort {
    /// What is applied in them.
    pub applied: Vec<Applied>,
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
}

/// A target for which there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Which one.
    pub target: Target,
    /// What is in the way.
    pub why: Why,
}

/// What is in a target's way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It stopped half-way.
    #[error("it stopped half-way at {0}; look at it, then `tenantry repair` or `tenantry force`")]
    Dirty(Version),
    /// Its schema is no more, or another one bears its name.
    #[error("its schema was dropped or made anew; `tenantry tenant import` takes the present one")]
    Gone,
    /// Its schema has another name now.
    #[error("its schema was renamed to {0}; rename it back")]
    Renamed(String),
    /// It was never pinned.
    #[error("its shard knows nothing of it; `tenantry tenant import` takes the schema as it is")]
    Unknown,
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
    pub async fn form<'a>(
        fleet: &Fleet,
        scope: Scope,
        standings: impl IntoIterator<Item = &'a Standing>,
        goal: Goal,
    ) -> Result<Self, FleetError> {
        let mut blocked = Vec::new();
        let mut by_digest: BTreeMap<(Digest, Digest), Vec<(Target, Head)>> = BTreeMap::new();
        for standing in standings {
            let target = standing.target.clone();
            match ready(standing) {
                Ok(head) => by_digest
                    .entry((head.digest, head.repeatables))
                    .or_default()
                    .push((target, head)),
                Err(why) => blocked.push(Blocked { target, why }),
            }
        }
        let mut reader = Reader::new(fleet, scope);
        let mut cohorts = Vec::new();
        for ((digest, repeatables), targets) in by_digest {
            let applied = reader.applied(digest, &targets[0]).await?;
            let head = applied.last().map(|applied| applied.version);
            let stored = match goal.direction(head) {
                Direction::Up => Stored::new(),
                Direction::Down => reader.stored(&applied, &targets[0].0.shard).await?,
            };
            let standing = crate::plan::Standing {
                applied: &applied,
                repeatables,
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
                plan,
                targets,
            });
        }
        reader.close().await;
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

/// The head of a standing that can be moved.
fn ready(standing: &Standing) -> Result<Head, Why> {
    let pinned = standing.pinned.as_ref().ok_or(Why::Unknown)?;
    match (&pinned.present, pinned.head.dirty) {
        (None, _) => Err(Why::Gone),
        (Some(name), _) if *name != pinned.head.schema => Err(Why::Renamed(name.clone())),
        (_, Some(version)) => Err(Why::Dirty(version)),
        _ => Ok(pinned.head.clone()),
    }
}

/// Reads histories, as few as can be.
struct Reader<'a> {
    fleet: &'a Fleet,
    known: HashMap<Digest, Vec<Applied>>,
    sessions: HashMap<ShardName, Session>,
}

impl<'a> Reader<'a> {
    fn new(fleet: &'a Fleet, scope: Scope) -> Self {
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

    async fn applied(
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

    async fn stored(
        &mut self,
        applied: &[Applied],
        shard: &ShardName,
    ) -> Result<Stored, FleetError> {
        let session = self.session(shard).await?;
        Ok(scripts::downs(session.connection(), applied).await?)
    }

    async fn session(&mut self, name: &ShardName) -> Result<&mut Session, FleetError> {
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

    async fn close(self) {
        for session in self.sessions.into_values() {
            session.close().await;
        }
    }
}
