//! Migrations that wait for something: contracts, which take away what an older application needs, and what builds on a
//! backfill. A rollout goes as far as the version before the first one that is not released.

use std::collections::BTreeSet;

use super::RolloutError;
use crate::{
    config::Portion,
    fleet::Fleet,
    history::Applied,
    migration::{Scope, Version},
    plan::Goal,
    postgres::Connection,
    store::{acks, cursors},
    travel::{Blocked, Cohorts, Request, Why, plan_all},
};

/// A migration that waits for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which set it is of.
    pub scope: Scope,
    /// Its number.
    pub version: Version,
    /// Its name.
    pub name: String,
    /// Whether somebody has to say that no application needs any more what it takes away.
    pub contract: bool,
    /// The backfills that have to be done.
    pub backfills: Vec<String>,
    /// The version before it, of both sets; 0 where there is none.
    pub(super) before: Version,
}

/// All migrations in the files that wait for something, the lowest first.
pub fn held(fleet: &Fleet) -> Vec<Held> {
    let versions: BTreeSet<_> = [&fleet.shared, &fleet.tenant]
        .into_iter()
        .flat_map(|set| set.migrations.iter().map(|migration| migration.version))
        .collect();
    let of = |scope| {
        let migrations = fleet.set(scope).migrations.iter();
        migrations
            .filter(|migration| migration.up.directives.is_held())
            .map(move |migration| (scope, migration))
    };
    let held = of(Scope::Shared)
        .chain(of(Scope::Tenant))
        .map(|(scope, migration)| Held {
            scope,
            version: migration.version,
            name: migration.name.clone(),
            contract: migration.up.directives.contract,
            backfills: migration.up.directives.backfills.clone(),
            before: versions
                .range(..migration.version)
                .next_back()
                .copied()
                .unwrap_or(Version::new(0)),
        });
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|held| held.version);
    held
}

/// The first migration of these plans, which lead to a goal, that is not released.
pub(super) async fn first(
    fleet: &Fleet,
    home: &mut Connection,
    plans: &[Cohorts],
    goal: Goal,
) -> Result<Option<Held>, RolloutError> {
    let is_beyond = |held: &Held| matches!(goal, Goal::UpTo(last) if held.version > last);
    for held in held(fleet).into_iter().filter(|held| !is_beyond(held)) {
        if is_pending(plans, &held) && why(fleet, home, &held).await?.is_some() {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

/// What a rollout waits for that goes as far as `reach`; none where it may go on.
pub(super) async fn waits(
    fleet: &Fleet,
    home: &mut Connection,
    reach: Goal,
) -> Result<Option<String>, RolloutError> {
    let Goal::UpTo(reach) = reach else {
        return Ok(None);
    };
    for held in held(fleet).iter().filter(|held| held.before == reach) {
        if let Some(why) = why(fleet, home, held).await? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Whether a plan has it. Of whoever is on a shard that is away, nobody can tell: he is taken to need what nobody else has.
fn is_pending(plans: &[Cohorts], held: &Held) -> bool {
    let of_scope = || plans.iter().filter(|cohorts| cohorts.scope == held.scope);
    let is_away = |blocked: &Blocked| matches!(blocked.why, Why::Unreachable(_));
    let has_it = |applied: &Applied| applied.version == held.version;
    let mut cohorts = of_scope().flat_map(|cohorts| &cohorts.cohorts);
    if !cohorts.any(|cohort| cohort.applied.iter().any(has_it))
        && of_scope().any(|cohorts| cohorts.blocked.iter().any(is_away))
    {
        return true;
    }
    let plans = of_scope().flat_map(|cohorts| &cohorts.cohorts);
    let mut plans = plans.filter_map(|cohort| cohort.plan.as_ref().ok());
    plans.any(|plan| {
        let built = plan.built.iter().flat_map(|built| &built.migrations);
        plan.steps
            .iter()
            .any(|step| step.migration.version == held.version)
            || built
                .into_iter()
                .any(|migration| migration.version == held.version)
    })
}

/// What it waits for; none where it is released. What is quick to see comes first.
async fn why(
    fleet: &Fleet,
    home: &mut Connection,
    held: &Held,
) -> Result<Option<String>, RolloutError> {
    let version = held.version;
    if held.contract {
        let acks = acks::list(home).await?;
        if !acks.iter().any(|ack| ack.version == version.to_string()) {
            let why = format!("contract {version} waits for `tenantry release ack {version}`");
            return Ok(Some(why));
        }
    }
    let request = Request {
        goal: Goal::UpTo(held.before),
        scopes: &[Scope::Shared, Scope::Tenant],
        select: &|_| true,
        max_failures: Portion::Count(0),
    };
    let (survey, plans) = plan_all(fleet, &request).await?;
    let behind: usize = plans.iter().map(behind).sum();
    if behind > 0 && held.contract {
        let before = held.before;
        let why = format!(
            "contract {version} waits until {behind} more schemas of the fleet are at {before}"
        );
        return Ok(Some(why));
    }
    let tenants = survey.moving(Scope::Tenant).count() as u64;
    for backfill in &held.backfills {
        let done = done(fleet, backfill).await?;
        if done < tenants {
            return Ok(Some(format!(
                "{version} waits for the backfill {backfill}, which is done in {done} of {tenants} tenants"
            )));
        }
    }
    Ok(None)
}

/// How many schemas are not at the goal, or cannot be asked.
fn behind(cohorts: &Cohorts) -> usize {
    let behind = cohorts.cohorts.iter().filter(|cohort| {
        let steps = |plan: &crate::plan::Plan| plan.steps.is_empty() && plan.built.is_none();
        !cohort.plan.as_ref().is_ok_and(steps)
    });
    let behind: usize = behind.map(|cohort| cohort.targets.len()).sum();
    behind + cohorts.blocked.len()
}

/// In how many schemas a backfill is done.
async fn done(fleet: &Fleet, backfill: &str) -> Result<u64, RolloutError> {
    let mut done = 0;
    for shard in fleet.shards.iter() {
        let mut session = fleet.shard(shard).await?;
        let progress = cursors::progress(session.connection()).await?;
        session.close().await;
        let of = progress
            .iter()
            .filter(|progress| progress.backfill == backfill);
        done += of.map(|progress| progress.done).sum::<u64>();
    }
    Ok(done)
}
