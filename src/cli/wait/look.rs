//! One look at who has arrived.

use super::Wait;
use crate::{
    cli::{error::CliError, exit::ExitCode, output::Output, selection::Selection},
    fleet::Fleet,
    migration::Scope,
    plan::{Goal, Plan},
    tenant::TenantState,
    travel::{Blocked, Cohort, Cohorts, Standing, Survey, Why},
};

/// Who has arrived.
pub(super) struct Arrival {
    pub(super) scopes: Vec<ScopeArrival>,
}

/// The same in one scope.
pub(super) struct ScopeArrival {
    pub(super) scope: Scope,
    /// How many have.
    pub(super) arrived: usize,
    /// How many have not yet.
    pub(super) pending: usize,
    /// Those that cannot be moved as they are.
    pub(super) blocked: Vec<Blocked>,
}

impl Arrival {
    /// Whether all have arrived.
    pub(super) fn is_complete(&self) -> bool {
        let complete = |scope: &ScopeArrival| scope.pending == 0 && scope.blocked.is_empty();
        self.scopes.iter().all(complete)
    }

    /// Whether there is nothing to wait for: all have arrived, or who has not stopped half-way and needs a person.
    pub(super) fn is_settled(&self) -> bool {
        let dirty = |blocked: &Blocked| matches!(blocked.why, Why::Dirty(..));
        let settled = |scope: &ScopeArrival| scope.pending == 0 && scope.blocked.iter().all(dirty);
        self.scopes.iter().all(settled)
    }

    /// Those that cannot be moved as they are, of all scopes.
    pub(super) fn blocked(&self) -> impl Iterator<Item = &Blocked> {
        self.scopes.iter().flat_map(|scope| &scope.blocked)
    }

    /// Dirty before pending: it will not go away by itself.
    pub(super) fn exit_code(&self) -> ExitCode {
        let mut blocked = self.blocked();
        if self.is_complete() {
            ExitCode::Done
        } else if blocked.any(|blocked| matches!(blocked.why, Why::Dirty(..))) {
            ExitCode::Dirty
        } else {
            ExitCode::Pending
        }
    }
}

/// Looks once: one query a database, and the history of each group that stands where nobody stood before.
///
/// The first look chooses the tenants: one that is selected by its version is still waited for when it has a higher one.
pub(super) async fn look(
    fleet: &Fleet,
    wait: &Wait,
    chosen: &mut Option<Selection>,
    output: &Output,
) -> Result<Arrival, CliError> {
    let survey = Survey::take(fleet).await?;
    let selection = match chosen.take() {
        Some(selection) => selection,
        None => Selection::of(&survey, wait.selector.as_deref(), output)?,
    };
    // Whoever waits for nobody would go on before anybody is there.
    if let (true, Some(selector)) = (selection.is_empty(), &wait.selector) {
        return Err(CliError::Usage(format!(
            "{selector} selects no tenant: there is nobody to wait for"
        )));
    }
    let selection = &*chosen.insert(selection);
    let mut scopes = Vec::new();
    for scope in wait.scopes() {
        let chosen = survey
            .moving(*scope)
            .filter(|standing| *scope == Scope::Shared || selection.holds(standing));
        let cohorts = Cohorts::form(fleet, *scope, chosen, Goal::Latest).await?;
        let mut arrival = ScopeArrival {
            scope: *scope,
            arrived: 0,
            pending: 0,
            blocked: Vec::new(),
        };
        for cohort in &cohorts.cohorts {
            match has_arrived(cohort, wait) {
                true => arrival.arrived += cohort.targets.len(),
                false => arrival.pending += cohort.targets.len(),
            }
        }
        // Shared schemas that are not there yet are made by `up`, unless there is nothing to make them for.
        for blocked in cohorts.blocked {
            match blocked.why {
                Why::Unmade if fleet.set(*scope).is_empty() && wait.version.is_none() => {}
                Why::Unmade => arrival.pending += 1,
                _ => arrival.blocked.push(blocked),
            }
        }
        if *scope == Scope::Tenant && wait.selector.is_some() {
            let unfinished =
                |standing: &&Standing| selection.holds(standing) && is_being_made(standing);
            arrival.pending += survey.tenants.iter().filter(unfinished).count();
        }
        scopes.push(arrival);
    }
    Ok(Arrival { scopes })
}

fn has_arrived(cohort: &Cohort, wait: &Wait) -> bool {
    match wait.version {
        Some(version) => cohort
            .applied
            .iter()
            .any(|applied| applied.version == version),
        None => cohort.plan.as_ref().is_ok_and(Plan::is_empty),
    }
}

/// A tenant that was asked for by name is waited for from its registration on.
fn is_being_made(standing: &Standing) -> bool {
    let state = standing.tenant.as_ref().map(|tenant| tenant.state);
    state == Some(TenantState::Provisioning)
}
