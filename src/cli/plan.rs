//! `plan`: what `up` would do, by cohort. Changes nothing.

mod json;
mod text;

use clap::Args;

use super::{
    absent,
    context::Context,
    error::{CliError, of_refusal},
    exit::ExitCode,
    selection::Selection,
    trip::scope,
};
use crate::{
    apply::{Audit, Cut, Rung, compile},
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    plan::Goal,
    travel::{Cohort, Cohorts, Standing, Survey},
};

/// What `plan` takes.
#[derive(Debug, Args)]
pub(super) struct Plan {
    /// Which tenants, as for `up` [default: all]
    selector: Option<String>,
    /// Up to this version, and no further
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
    /// The very text that would be sent, to one target of each cohort; of a light plan, later tenants go several in one
    /// message
    #[arg(long)]
    sql: bool,
    /// Only the shared schema, or only the tenants
    #[arg(long, value_name = "SCOPE", value_parser = scope())]
    scope: Option<Scope>,
    /// Apply a version that is lower than one already applied
    #[arg(long)]
    allow_out_of_order: bool,
}

/// A cohort, with the text for one of its targets where that was asked for.
struct Planned {
    cohort: Cohort,
    /// One a transaction.
    messages: Option<Vec<String>>,
}

/// What would be done in one scope.
struct PlannedScope {
    scope: Scope,
    cohorts: Vec<Planned>,
    blocked: Vec<crate::travel::Blocked>,
}

impl Plan {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let mut fleet = context.fleet(&settings)?;
        fleet.out_of_order |= self.allow_out_of_order;
        let survey = Survey::take(&fleet).await?;
        let selection = Selection::of(&survey, self.selector.as_deref(), context.output)?;
        let mut scopes = Vec::new();
        for scope in [Scope::Shared, Scope::Tenant] {
            if self.scope.is_none_or(|only| only == scope) {
                scopes.push(self.scope(&fleet, &survey, &selection, scope).await?);
            }
        }
        self.check_version(&fleet, &scopes)?;
        context
            .output
            .result(&json::plan(&scopes, &survey), |paint| {
                text::plan(&scopes, &fleet, self.sql, paint)
            });
        for scope in &scopes {
            let cohorts = scope.cohorts.iter().map(|planned| &planned.cohort);
            absent::warn(&fleet, scope.scope, cohorts, context.output);
        }
        let cohorts = scopes.iter().flat_map(|scope| &scope.cohorts);
        let mut refusals = cohorts.filter_map(|planned| planned.cohort.plan.as_ref().err());
        Ok(match refusals.next() {
            Some(refusal) => of_refusal(refusal),
            None if survey.away.is_empty() => ExitCode::Done,
            // Of some there is no plan, since nobody could look.
            None => ExitCode::Failed,
        })
    }

    async fn scope(
        &self,
        fleet: &Fleet,
        survey: &Survey,
        selection: &Selection,
        scope: Scope,
    ) -> Result<PlannedScope, CliError> {
        let goal = self.to.map_or(Goal::Latest, Goal::UpTo);
        let standings: Vec<_> = survey
            .moving(scope)
            .filter(|standing| scope == Scope::Shared || selection.holds(standing))
            .map(Standing::once_made)
            .collect();
        let cohorts = Cohorts::form(fleet, scope, &standings, goal).await?;
        let with_text = |cohort| Planned {
            messages: self.sql.then(|| messages(fleet, scope, &cohort)),
            cohort,
        };
        Ok(PlannedScope {
            scope,
            cohorts: cohorts.cohorts.into_iter().map(with_text).collect(),
            blocked: cohorts.blocked,
        })
    }

    /// As `up` refuses it.
    fn check_version(&self, fleet: &Fleet, scopes: &[PlannedScope]) -> Result<(), CliError> {
        let Some(version) = self.to else {
            return Ok(());
        };
        let applied = scopes.iter().flat_map(|scope| &scope.cohorts);
        let mut applied = applied.flat_map(|planned| &planned.cohort.applied);
        let in_files = [&fleet.shared, &fleet.tenant]
            .iter()
            .any(|set| set.get(version).is_some());
        if in_files || applied.any(|applied| applied.version == version) {
            Ok(())
        } else {
            Err(FleetError::UnknownVersion(version).into())
        }
    }
}

/// The text for the first target of a cohort.
fn messages(fleet: &Fleet, scope: Scope, cohort: &Cohort) -> Vec<String> {
    let (Ok(plan), Some((_, head))) = (&cohort.plan, cohort.targets.first()) else {
        return Vec::new();
    };
    let compiled = compile(plan, &fleet.limits, Cut::Coarse, Audit::first(scope));
    // A head's name is a schema's, which is always an identifier.
    let rung = Rung::first(fleet.limits.lock_tries);
    let messages = compiled.stamped(head, rung).unwrap_or_default();
    messages
        .iter()
        .map(|message| message.as_str().to_owned())
        .collect()
}
