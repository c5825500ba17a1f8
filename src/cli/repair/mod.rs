//! `repair`: looks at the record and says what is wrong; with an option, mends it.

mod look;
mod restore;

use clap::Args;

use self::{look::look, restore::restore};
use super::{
    ask,
    context::Context,
    correction::{carry_out, chosen},
    error::CliError,
    exit::ExitCode,
    report::name,
    selection::Selection,
};
use crate::{
    fleet::{Fleet, FleetError},
    history::Head,
    migration::{Scope, Version},
    plan::Correction,
    travel::Survey,
};

/// What `repair` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("remedy").args(["accept_checksum", "restore", "clear_dirty"]))]
pub(super) struct Repair {
    /// Take the text that the file of this version has now as the one that was applied
    #[arg(long, value_name = "VERSION")]
    accept_checksum: Option<Version>,
    /// Show the texts of this version as they were applied
    #[arg(long, value_name = "VERSION")]
    restore: Option<Version>,
    /// Take the dirty mark away: the schemas stand where their history says [default: of all]
    #[arg(long, value_name = "SELECTOR", num_args = 0..=1)]
    clear_dirty: Option<Option<String>>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Repair {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let survey = Survey::take(&fleet).await?;
        if let Some(version) = self.restore {
            return restore(context, &fleet, &survey, version).await;
        }
        if let Some(version) = self.accept_checksum {
            return accept(context, &fleet, &survey, version).await;
        }
        match &self.clear_dirty {
            Some(selector) => {
                self.clear(context, &fleet, &survey, selector.as_deref())
                    .await
            }
            None => look(context, &fleet, &survey).await,
        }
    }

    async fn clear(
        &self,
        context: &Context<'_>,
        fleet: &Fleet,
        survey: &Survey,
        selector: Option<&str>,
    ) -> Result<ExitCode, CliError> {
        let selection = Selection::of(survey, selector, context.output)?;
        let scopes = [Scope::Shared, Scope::Tenant].map(|scope| {
            let mut targets = chosen(survey, scope, &selection);
            targets.retain(|s| {
                s.pinned
                    .as_ref()
                    .is_some_and(|p| halfway(&p.head).is_some())
            });
            // The shared schema has no name that a selector could mean.
            targets.retain(|_| scope == Scope::Tenant || selector.is_none());
            (scope, targets)
        });
        let mut about = String::from(
            "These stand where their history says, and nothing is left of what stopped half-way:",
        );
        for standing in scopes.iter().flat_map(|(_, targets)| targets) {
            let head = standing.pinned.as_ref().map(|pinned| &pinned.head);
            let version = |v: Option<Version>| {
                v.map_or_else(|| "nothing applied".to_owned(), |v| v.to_string())
            };
            about.push_str(&format!(
                "\n  {}: at {}, stopped at {}",
                name(&standing.target, fleet),
                version(head.and_then(|head| head.version)),
                version(head.and_then(halfway)),
            ));
        }
        let any = scopes.iter().any(|(_, targets)| !targets.is_empty());
        if any && !self.yes && !ask::go_on(context.output, &about)? {
            return Ok(ExitCode::Failed);
        }
        carry_out(context, fleet, &scopes, Correction::Clear).await
    }
}

/// The version at which a schema stopped, or in the middle of which it is.
fn halfway(head: &Head) -> Option<Version> {
    head.dirty.or(head.running.map(|running| running.version))
}

/// The new text for every schema that has another one, in whichever sets have the version.
async fn accept(
    context: &Context<'_>,
    fleet: &Fleet,
    survey: &Survey,
    version: Version,
) -> Result<ExitCode, CliError> {
    let all = Selection::of(survey, None, context.output)?;
    let scopes: Vec<_> = [Scope::Shared, Scope::Tenant]
        .into_iter()
        .filter(|scope| fleet.set(*scope).get(version).is_some())
        .map(|scope| (scope, chosen(survey, scope, &all)))
        .collect();
    if scopes.is_empty() {
        return Err(FleetError::UnknownVersion(version).into());
    }
    carry_out(context, fleet, &scopes, Correction::Accept(version)).await
}
