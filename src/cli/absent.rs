//! Applied migrations without a file, which mostly means that the command was given in another directory than the files
//! are in.

use std::collections::BTreeSet;

use super::{error::CliError, human, output::Output, selection::Selection};
use crate::{
    fleet::Fleet,
    migration::Scope,
    plan::{Drift, Goal, drift},
    travel::{Cohort, Cohorts, Survey},
};

/// Looks at what is applied where there are no files at all, and warns of it. Where there are files, `status` tells.
pub(super) async fn look(
    fleet: &Fleet,
    scopes: &[Scope],
    selection: &Selection,
    output: &Output,
) -> Result<(), CliError> {
    let empty = |scope: &&Scope| fleet.set(**scope).migrations.is_empty();
    let empty: Vec<_> = scopes.iter().filter(empty).collect();
    if empty.is_empty() || output.is_json() {
        return Ok(());
    }
    let survey = Survey::take(fleet).await?;
    for scope in empty {
        let chosen = survey
            .moving(*scope)
            .filter(|standing| *scope == Scope::Shared || selection.holds(standing));
        let cohorts = Cohorts::form(fleet, *scope, chosen, Goal::Latest).await?;
        warn(fleet, *scope, &cohorts.cohorts, output);
    }
    Ok(())
}

/// Warns of applied migrations that no file of the scope has.
pub(super) fn warn<'a>(
    fleet: &Fleet,
    scope: Scope,
    cohorts: impl IntoIterator<Item = &'a Cohort>,
    output: &Output,
) {
    let set = fleet.set(scope);
    let missing = cohorts
        .into_iter()
        .flat_map(|cohort| drift(set, &cohort.applied))
        .filter_map(|drift| match drift {
            Drift::Missing { version, .. } => Some(version),
            _ => None,
        });
    let missing: BTreeSet<_> = missing.collect();
    if missing.is_empty() {
        return;
    }
    let them = human::count(
        missing.len(),
        "applied migration has",
        "applied migrations have",
    );
    output.warning(&format!(
        "{them} no file in the {scope} set; is this the right directory? `tenantry status` names them"
    ));
}
