//! A look at the record of the whole fleet: what is wrong with it, and the remedy for each.

use super::{
    Standing, Survey, Why,
    cohort::{Dirty, ready},
    histories::Histories,
};
use crate::{
    fleet::{Fleet, FleetError},
    migration::Scope,
    plan::{Drift, drift},
    tenant::{Target, TenantState},
};

/// One thing that is wrong, and everywhere it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The scope of the targets.
    pub scope: Scope,
    /// What is wrong.
    pub wrong: Wrong,
    /// Where.
    pub targets: Vec<Target>,
}

/// What can be wrong with the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Files and history disagree.
    Drift(Drift),
    /// The target can be moved by nobody.
    Blocked(Why),
    /// The tenant was never finished.
    Unfinished,
    /// The tenant has neither its old name nor its new one for certain.
    Renaming,
    /// The shard remembers a schema of which the registry knows nothing.
    Stray,
    /// The same, and the schema itself is no more.
    Forgotten,
}

impl Wrong {
    /// A word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Drift(Drift::Changed { .. }) => "changed",
            Self::Drift(Drift::Missing { .. }) => "missing",
            Self::Drift(Drift::Late { .. }) => "late",
            Self::Blocked(Why::Dirty(..)) => "dirty",
            Self::Blocked(Why::Unfinished(..)) => "unfinished",
            Self::Blocked(Why::Gone | Why::SharedGone) => "gone",
            Self::Blocked(Why::Renamed(_)) => "renamed",
            Self::Blocked(Why::Unknown) => "unknown",
            Self::Blocked(Why::Unmade) => "unmade",
            Self::Blocked(Why::MovedSince) => "moved_since",
            Self::Blocked(Why::Unreachable(_)) => "unreachable",
            Self::Unfinished => "unfinished",
            Self::Renaming => "renaming",
            Self::Stray => "stray",
            Self::Forgotten => "forgotten",
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Drift(Drift::Changed { version, .. }) => format!(
                "put the file back (`tenantry repair --restore {version}` shows the text), or take the new one with \
                 `tenantry repair --accept-checksum {version}`"
            ),
            Self::Drift(Drift::Missing { version, .. }) => {
                format!("put the file back; `tenantry repair --restore {version}` shows the text")
            }
            Self::Drift(Drift::Late { .. }) => {
                "give it a higher version, or allow it with `tenantry up --allow-out-of-order`"
                    .to_owned()
            }
            Self::Blocked(why) => why.remedy(),
            Self::Stray => Why::Unknown.remedy(),
            Self::Unfinished => {
                "`tenantry tenant add TENANT` goes on where it stopped; `tenantry tenant retire TENANT` undoes it"
                    .to_owned()
            }
            Self::Renaming => {
                "`tenantry tenant rename TENANT NEW` finishes it (`tenantry tenant show TENANT` tells the new name); \
                 `tenantry tenant rename TENANT TENANT` leaves the tenant its name"
                    .to_owned()
            }
            Self::Forgotten => "nothing: a new tenant of that name starts afresh".to_owned(),
        }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Drift(drift) => drift.fmt(f),
            Self::Blocked(why) => f.write_str(&why.what()),
            Self::Unfinished => f.write_str("its provisioning was interrupted"),
            Self::Renaming => f.write_str("its renaming was interrupted, or is under way"),
            Self::Stray => f.write_str("a schema with a history that is no tenant's"),
            Self::Forgotten => f.write_str("a history without a tenant and without a schema"),
        }
    }
}

/// Everything that is wrong with the record of the fleet, the shared scope first.
pub async fn diagnose(fleet: &Fleet, survey: &Survey) -> Result<Vec<Finding>, FleetError> {
    let mut findings = Findings::default();
    for (scope, standings) in [
        (Scope::Shared, &survey.shared),
        (Scope::Tenant, &survey.tenants),
    ] {
        let (unfinished, others): (Vec<_>, Vec<_>) = standings
            .iter()
            .filter(|standing| is_expected(standing))
            .partition(|standing| state(standing) == Some(TenantState::Provisioning));
        for standing in unfinished {
            findings.add(scope, Wrong::Unfinished, standing.target.clone());
        }
        for standing in standings {
            if state(standing) == Some(TenantState::Renaming) {
                findings.add(scope, Wrong::Renaming, standing.target.clone());
            }
        }
        let mut histories = Histories::new(fleet, scope);
        for standing in &others {
            if let Err(why @ (Why::Dirty(..) | Why::Unfinished(..))) =
                ready(standing, Dirty::BlocksUnfinished)
            {
                findings.add(scope, Wrong::Blocked(why), standing.target.clone());
            }
        }
        let (groups, blocked) = histories.groups(others, Dirty::Passes).await?;
        for group in groups {
            let drifts = drift(fleet.set(scope), &group.applied)
                .into_iter()
                .map(Wrong::Drift);
            for wrong in drifts {
                for (target, _) in &group.targets {
                    findings.add(scope, wrong.clone(), target.clone());
                }
            }
        }
        histories.close().await;
        for blocked in blocked {
            findings.add(scope, Wrong::Blocked(blocked.why), blocked.target);
        }
    }
    for (shard, pinned) in &survey.strays {
        let wrong = if pinned.is_intact() {
            Wrong::Stray
        } else {
            Wrong::Forgotten
        };
        if let Ok(schema) = crate::sql::Ident::new(pinned.head.schema.as_str()) {
            let shard = shard.clone();
            findings.add(Scope::Tenant, wrong, Target { shard, schema });
        }
    }
    Ok(findings.0)
}

/// Whether the record should know the target: a shared schema is made by the first `up`, a tenant may be on its way out, or
/// to another name.
fn is_expected(standing: &Standing) -> bool {
    match state(standing) {
        None => standing.pinned.is_some() || standing.away.is_some(),
        Some(state) => !matches!(state, TenantState::Retiring | TenantState::Renaming),
    }
}

fn state(standing: &Standing) -> Option<TenantState> {
    standing.tenant.as_ref().map(|tenant| tenant.state)
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, scope: Scope, wrong: Wrong, target: Target) {
        let same = |finding: &&mut Finding| finding.scope == scope && finding.wrong == wrong;
        match self.0.iter_mut().find(same) {
            Some(finding) => finding.targets.push(target),
            None => self.0.push(Finding {
                scope,
                wrong,
                targets: vec![target],
            }),
        }
    }
}
