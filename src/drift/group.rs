//! Schemas that should look the same: the same is applied in them, and the same PostgreSQL writes it.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::{DriftError, NotLooked, reference::Basis};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Digest, Head},
    migration::{Scope, Version},
    plan::Goal,
    store::heads,
    tenant::{ShardName, Target, TenantState},
    travel::{Cohorts, Standing, Survey},
};

/// Schemas that should look the same.
#[derive(Debug, Clone)]
pub struct Group {
    /// Whose set they are of.
    pub scope: Scope,
    /// What is applied in them.
    pub applied: Vec<Applied>,
    /// The hash of that.
    pub digest: Digest,
    /// The hash of the repeatables as last applied.
    pub repeatables: Digest,
    /// The hash of what is applied in the shared schema that they may refer to; of a shared schema that of nothing.
    pub below: Digest,
    /// The major version of the PostgreSQL that they are on.
    pub postgres: i32,
    /// The schemas and their heads.
    pub targets: Vec<(Target, Head)>,
    /// What they are compared with.
    pub basis: Basis,
}

/// All that is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// By scope and version.
    pub groups: Vec<Group>,
    /// What is applied in the shared schemas, looked at or not.
    pub shared: Vec<Group>,
    /// What cannot be compared.
    pub not_looked: Vec<NotLooked>,
}

impl Group {
    /// The highest version applied.
    pub fn version(&self) -> Option<Version> {
        self.applied.last().map(|applied| applied.version)
    }

    /// The name of that migration.
    pub fn name(&self) -> Option<&str> {
        self.applied.last().map(|applied| applied.name.as_str())
    }

    /// Whether nothing was ever applied: then there should be nothing.
    pub fn is_empty(&self) -> bool {
        self.digest == Digest::EMPTY && self.repeatables == Digest::EMPTY
    }
}

impl Groups {
    /// Sorts the chosen tenants, and the shared schemas where `shared` says so, by what they should look like.
    ///
    /// Left out are tenants that are being made, renamed or taken away, and a shared schema that no migration is for.
    ///
    /// # Errors
    /// A database; or targets that are moved all the time while their histories are read.
    pub async fn of(
        fleet: &Fleet,
        survey: &Survey,
        chosen: impl Fn(&Standing) -> bool,
        shared: bool,
    ) -> Result<Self, DriftError> {
        let (versions, silent) = versions(fleet, survey).await;
        let mut all = Self::default();
        let tenants = survey.tenants.iter().filter(|standing| {
            let state = standing.tenant.as_ref().map(|tenant| tenant.state);
            let is_settled = matches!(state, Some(TenantState::Active | TenantState::Suspended));
            is_settled && chosen(standing)
        });
        let ground = Ground {
            versions: &versions,
            below: below(survey),
        };
        let of_tenants = all.form(fleet, Scope::Tenant, tenants, &ground).await?;
        let before = all.not_looked.len();
        // Where no migration is for it, nobody misses it.
        let is_missed = |standing: &&Standing| {
            let is_there = standing.pinned.is_some() || standing.away.is_some();
            is_there || !fleet.shared.is_empty()
        };
        let standings = survey.shared.iter().filter(is_missed);
        let of_shared = all.form(fleet, Scope::Shared, standings, &ground).await?;
        if !shared {
            all.not_looked.truncate(before);
        }
        let is_used = |group: &&Group| !(fleet.shared.is_empty() && group.is_empty());
        all.groups = of_shared
            .iter()
            .filter(|_| shared)
            .filter(is_used)
            .cloned()
            .collect();
        all.groups.extend(of_tenants);
        all.shared = of_shared;
        for not in &mut all.not_looked {
            if let Some(why) = silent.get(&not.target.shard) {
                not.why.clone_from(why);
            }
        }
        Ok(all)
    }

    /// Compares each with what most of those like it have, instead of what its history makes.
    pub fn by_majority(&mut self) {
        for group in &mut self.groups {
            group.basis = Basis::Majority(None);
        }
    }

    async fn form<'a>(
        &mut self,
        fleet: &Fleet,
        scope: Scope,
        standings: impl IntoIterator<Item = &'a Standing>,
        ground: &Ground<'_>,
    ) -> Result<Vec<Group>, FleetError> {
        let cohorts = Cohorts::form(fleet, scope, standings, Goal::Latest).await?;
        let blocked = cohorts.blocked.into_iter();
        self.not_looked.extend(blocked.map(|blocked| NotLooked {
            target: blocked.target,
            scope,
            why: blocked.why.what(),
        }));
        let mut groups: BTreeMap<_, Group> = BTreeMap::new();
        for cohort in cohorts.cohorts {
            let version = cohort.version();
            for (target, head) in cohort.targets {
                let postgres = ground.versions.get(&target.shard);
                let why = match (postgres, cohort.running) {
                    (None, _) => Some("its shard does not answer".to_owned()),
                    (_, Some(running)) => {
                        Some(format!("it is in the middle of {}", running.version))
                    }
                    _ => None,
                };
                if let Some(why) = why {
                    self.not_looked.push(NotLooked { target, scope, why });
                    continue;
                }
                let postgres = postgres.copied().unwrap_or_default();
                let below = match scope {
                    Scope::Shared => Digest::EMPTY,
                    Scope::Tenant => ground.below.get(&target.shard).copied().unwrap_or_default(),
                };
                let group = groups
                    .entry((version, head.digest, head.repeatables, postgres, below))
                    .or_insert_with(|| Group {
                        scope,
                        applied: cohort.applied.clone(),
                        digest: head.digest,
                        repeatables: head.repeatables,
                        below,
                        postgres,
                        targets: Vec::new(),
                        basis: Basis::Unknown,
                    });
                group.targets.push((target, head));
            }
        }
        // The newest first: where the fleet should be.
        Ok(groups.into_values().rev().collect())
    }
}

/// What tenants stand on, by shard.
struct Ground<'a> {
    /// The major version of PostgreSQL.
    versions: &'a BTreeMap<ShardName, i32>,
    /// What is applied in the shared schema, as a hash.
    below: BTreeMap<ShardName, Digest>,
}

fn below(survey: &Survey) -> BTreeMap<ShardName, Digest> {
    let pinned = survey.shared.iter().filter_map(|standing| {
        let head = &standing.pinned.as_ref()?.head;
        Some((
            standing.target.shard.clone(),
            head.digest.of_both(head.repeatables),
        ))
    });
    pinned.collect()
}

/// The major version of each shard's PostgreSQL, and what those say that do not tell.
async fn versions(
    fleet: &Fleet,
    survey: &Survey,
) -> (BTreeMap<ShardName, i32>, BTreeMap<ShardName, String>) {
    let shards = fleet
        .shards
        .iter()
        .filter(|shard| !survey.away.contains_key(&shard.name));
    let asked = join_all(shards.map(|shard| async {
        let version = async {
            let mut session = fleet.shard(shard).await?;
            let version = heads::postgres(session.connection()).await?;
            session.close().await;
            Ok::<_, FleetError>(version)
        };
        (shard.name.clone(), version.await)
    }));
    let (mut versions, mut silent) = (BTreeMap::new(), BTreeMap::new());
    for (shard, version) in asked.await {
        match version {
            Ok(version) => drop(versions.insert(shard, version)),
            Err(error) => drop(silent.insert(shard, error.to_string())),
        }
    }
    (versions, silent)
}
