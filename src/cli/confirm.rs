//! Asking before anything is taken back.

use std::collections::BTreeMap;

use super::{ask, error::CliError, human, output::Output, trip::Trip, trip::targets};
use crate::{
    fleet::Fleet,
    migration::{Direction, Scope, Version},
    travel::{Cohort, Cohorts, Survey},
};

/// What would be taken back, a line a way.
pub(super) type WayBack = Vec<String>;

/// Looks at what a trip would take back, and asks. True when there is nothing to ask or the answer is yes.
pub(super) async fn backwards(
    trip: &Trip<'_>,
    fleet: &Fleet,
    output: &Output,
) -> Result<bool, CliError> {
    ask(&way_back(trip, fleet).await?, output)
}

/// What a trip would take back.
pub(super) async fn way_back(trip: &Trip<'_>, fleet: &Fleet) -> Result<WayBack, CliError> {
    let survey = Survey::take(fleet).await?;
    let mut ways = Vec::new();
    for scope in trip.scopes {
        let standings = survey.moving(*scope).filter(|standing| match scope {
            Scope::Shared => standing.pinned.is_some(),
            Scope::Tenant => trip.selection.holds(standing),
        });
        let cohorts = match &trip.back {
            Some((_, back)) => back.form(fleet, *scope, standings).await?,
            None => Cohorts::form(fleet, *scope, standings, trip.goal).await?,
        };
        ways.extend(lines(&cohorts));
    }
    Ok(ways)
}

/// Asks whether to go on. True when there is nothing to ask or the answer is yes.
///
/// # Errors
/// There is nobody to ask.
pub(super) fn ask(ways: &WayBack, output: &Output) -> Result<bool, CliError> {
    if ways.is_empty() {
        return Ok(true);
    }
    let about = format!(
        "This takes back, with the data in it:\n  {}",
        ways.join("\n  ")
    );
    ask::go_on(output, &about)
}

/// From where to where, how many of whom.
fn lines(cohorts: &Cohorts) -> Vec<String> {
    let mut ways: BTreeMap<(Option<Version>, Way), usize> = BTreeMap::new();
    for cohort in &cohorts.cohorts {
        if let Some(way) = back(cohort) {
            *ways.entry((cohort.version(), way)).or_default() += cohort.targets.len();
        }
    }
    let version = |version: Option<Version>| {
        version.map_or_else(|| "nothing applied".to_owned(), |v| v.to_string())
    };
    ways.into_iter()
        .rev()
        .map(|((from, way), count)| {
            format!(
                "{}: {}, from {} to {}{}",
                targets(cohorts.scope, count),
                human::count(way.steps, "migration", "migrations"),
                version(from),
                version(way.to),
                if way.again { ", and up again" } else { "" }
            )
        })
        .collect()
}

/// A way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    /// Where it ends.
    to: Option<Version>,
    /// How long it is.
    steps: usize,
    /// Whether a way up follows.
    again: bool,
}

/// A cohort's way back; none where it does not lead back.
fn back(cohort: &Cohort) -> Option<Way> {
    let plan = cohort.plan.as_ref().ok()?;
    let downs = plan
        .steps
        .iter()
        .filter(|step| step.direction == Direction::Down);
    Some(Way {
        to: downs.clone().next_back()?.version,
        steps: downs.count(),
        again: plan.steps.last()?.direction == Direction::Up,
    })
}
