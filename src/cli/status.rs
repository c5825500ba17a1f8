//! `status`: where the fleet stands.

mod json;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use clap::Args;

use super::{context::Context, error::CliError, exit::ExitCode, selection::Selection};
use crate::{
    fleet::{Fleet, FleetError},
    history::{Applied, Running},
    migration::{MigrationSet, Scope, Version},
    plan::{Drift, Goal, drift},
    store::{
        drifted::{self, Drifted},
        heads::Pinned,
    },
    tenant::{ShardName, Target, TenantState},
    travel::{Blocked, Cohorts, Survey, Why},
};

/// What `status` takes.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Which tenants, as for `up` [default: all]
    selector: Option<String>,
    /// Exit with 3 where anything is pending, 5 where dirty, 6 where files and history disagree, or where a schema is noted to
    /// look otherwise than it should (`tenantry drift`)
    #[arg(long)]
    check: bool,
}

/// Where the fleet stands, as it is shown.
struct Fleetwide {
    scopes: Vec<ScopeStatus>,
    /// Tenants that are not moved with the fleet.
    idle: Vec<(Target, TenantState)>,
    /// Schemas that no tenant of the registry has.
    strays: Vec<(ShardName, Pinned)>,
    /// Schemas that looked otherwise than they should when they were last looked at.
    drifted: Vec<Drifted>,
    /// Shards that could not be asked, and why.
    away: BTreeMap<ShardName, Arc<str>>,
}

struct ScopeStatus {
    scope: Scope,
    /// The highest version of the files.
    latest: Option<Version>,
    standings: Vec<Group>,
    blocked: Vec<Blocked>,
}

/// Targets at which the same is applied.
struct Group {
    version: Option<Version>,
    /// What they are in the middle of.
    running: Option<Running>,
    name: Option<String>,
    pending: Vec<Version>,
    drift: Vec<Drift>,
    /// Repeatables have changed since they were applied.
    repeatables_pending: bool,
    targets: Vec<Target>,
}

impl Status {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let survey = Survey::take(&fleet).await?;
        let selection = Selection::of(&survey, self.selector.as_deref(), context.output)?;
        let idle = selection.idle(&survey);
        let status = Fleetwide {
            scopes: vec![
                scope(&fleet, &survey, &selection, Scope::Shared).await?,
                scope(&fleet, &survey, &selection, Scope::Tenant).await?,
            ],
            idle: idle
                .map(|(tenant, state)| (target(tenant), state))
                .collect(),
            strays: survey.strays.clone(),
            drifted: drifted(&fleet, &survey, &selection).await?,
            away: survey.away.clone(),
        };
        context.output.result(&json::status(&status), |paint| {
            text::status(&status, &fleet, paint)
        });
        let all = if survey.away.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        };
        Ok(match status.exit_code() {
            // What was looked for was found, though not everywhere was looked.
            found if self.check && found != ExitCode::Done => found,
            _ => all,
        })
    }
}

impl Fleetwide {
    /// The worst of what there is to find: dirty, then drift, then pending.
    fn exit_code(&self) -> ExitCode {
        let any = |test: fn(&ScopeStatus) -> bool| self.scopes.iter().any(test);
        let dirty = |blocked: &Blocked| matches!(blocked.why, Why::Dirty(..));
        if self.scopes.iter().flat_map(|s| &s.blocked).any(dirty) {
            ExitCode::Dirty
        } else if any(|scope| scope.groups(Group::is_adrift) || scope.is_absent())
            || !self.drifted.is_empty()
        {
            ExitCode::Drift
        } else if any(|scope| scope.groups(Group::is_pending)) || any(ScopeStatus::is_unmade) {
            ExitCode::Pending
        } else {
            ExitCode::Done
        }
    }
}

impl ScopeStatus {
    fn groups(&self, test: impl Fn(&Group) -> bool) -> bool {
        self.standings.iter().any(test)
    }

    /// Whether a shared schema is not there yet: `up` makes it.
    fn is_unmade(&self) -> bool {
        self.blocked.iter().any(|b| b.why == Why::Unmade)
    }

    /// Whether there is no shared set to speak of.
    fn is_unused(&self, group: &Group, fleet: &Fleet) -> bool {
        self.scope == Scope::Shared && group.version.is_none() && fleet.shared.is_empty()
    }

    /// Whether a schema is not what the history says.
    fn is_absent(&self) -> bool {
        let absent = |why: &Why| match why {
            Why::Dirty(..)
            | Why::Unfinished(..)
            | Why::MovedSince
            | Why::Unmade
            | Why::Unreachable(_) => false,
            Why::Unknown | Why::Gone | Why::SharedGone | Why::Renamed(_) => true,
        };
        self.blocked.iter().any(|blocked| absent(&blocked.why))
    }
}

impl Group {
    fn is_adrift(&self) -> bool {
        self.drift.iter().any(|drift| !is_late(drift))
    }

    fn is_pending(&self) -> bool {
        !self.pending.is_empty() || self.repeatables_pending
    }
}

/// What is noted of the schemas that are shown.
async fn drifted(
    fleet: &Fleet,
    survey: &Survey,
    selection: &Selection,
) -> Result<Vec<Drifted>, FleetError> {
    let mut home = fleet.home().await?;
    let mut noted = drifted::list(home.connection()).await?;
    home.close().await;
    let tenants = survey.tenants.iter().filter(|s| selection.holds(s));
    let shown: BTreeSet<_> = survey
        .shared
        .iter()
        .chain(tenants)
        .map(|s| (s.target.shard.as_str(), s.target.schema.as_str()))
        .collect();
    noted.retain(|noted| shown.contains(&(noted.shard.as_str(), noted.schema.as_str())));
    Ok(noted)
}

async fn scope(
    fleet: &Fleet,
    survey: &Survey,
    selection: &Selection,
    scope: Scope,
) -> Result<ScopeStatus, FleetError> {
    let chosen = survey
        .moving(scope)
        .filter(|standing| scope == Scope::Shared || selection.holds(standing));
    let cohorts = Cohorts::form(fleet, scope, chosen, Goal::Latest).await?;
    let set = fleet.set(scope);
    let groups = cohorts.cohorts.into_iter().map(|cohort| {
        let repeatables_pending = cohort
            .plan
            .as_ref()
            .is_ok_and(|plan| !plan.repeatables.is_empty());
        Group {
            version: cohort.version(),
            running: cohort.running,
            name: cohort.applied.last().map(|applied| applied.name.clone()),
            pending: pending(set, &cohort.applied),
            drift: drift(set, &cohort.applied),
            repeatables_pending,
            targets: cohort
                .targets
                .into_iter()
                .map(|(target, _)| target)
                .collect(),
        }
    });
    // The newest first: where the fleet should be.
    let mut standings: Vec<_> = groups.collect();
    standings.reverse();
    standings.extend(unmade(set, &cohorts.blocked));
    Ok(ScopeStatus {
        scope,
        latest: set.latest().map(|migration| migration.version),
        standings,
        blocked: cohorts.blocked,
    })
}

/// Shared schemas that are not there yet: everything is pending in them.
fn unmade(set: &MigrationSet, blocked: &[Blocked]) -> Option<Group> {
    let unmade = blocked.iter().filter(|b| b.why == Why::Unmade);
    let targets: Vec<_> = unmade.map(|blocked| blocked.target.clone()).collect();
    (!targets.is_empty()).then(|| Group {
        version: None,
        running: None,
        name: None,
        pending: pending(set, &[]),
        drift: Vec::new(),
        repeatables_pending: !set.repeatables.is_empty(),
        targets,
    })
}

fn pending(set: &MigrationSet, applied: &[Applied]) -> Vec<Version> {
    let versions = set.migrations.iter().map(|migration| migration.version);
    versions
        .filter(|version| applied.iter().all(|applied| applied.version != *version))
        .collect()
}

/// A late migration is pending, not adrift.
fn is_late(drift: &Drift) -> bool {
    matches!(drift, Drift::Late { .. })
}

fn target(tenant: &crate::store::tenants::Tenant) -> Target {
    Target {
        shard: tenant.shard.clone(),
        schema: tenant.name.schema().clone(),
    }
}
