//! `force`: says at which version schemas are, without running anything.

use clap::Args;

use super::{
    ask,
    context::Context,
    correction::{Whom, carry_out},
    error::CliError,
    exit::ExitCode,
};
use crate::{
    migration::{InvalidVersion, MigrationSet, Version},
    plan::Correction,
    travel::Survey,
};

/// What `force` takes.
#[derive(Debug, Args)]
pub(super) struct Force {
    /// The version that is in the schemas, and nothing above it; `none` for nothing at all
    #[arg(value_parser = version_or_none)]
    version: Said,
    #[command(flatten)]
    whom: Whom,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// A version, or none.
#[derive(Debug, Clone, Copy)]
struct Said(Option<Version>);

impl Force {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        self.whom.check()?;
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let survey = Survey::take(&fleet).await?;
        let targets = self.whom.of(&survey, context)?;
        let version = self.version.within(fleet.set(self.whom.scope));
        let at = version.map_or_else(|| "nothing applied".to_owned(), |v| v.to_string());
        let about = format!(
            "This makes the history of {} say {at}. No script is run: the schemas stay as they are.",
            super::human::count(targets.len(), "schema", "schemas"),
        );
        if !self.yes && !targets.is_empty() && !ask::go_on(context.output, &about)? {
            return Ok(ExitCode::Failed);
        }
        let scopes = [(self.whom.scope, targets)];
        carry_out(context, &fleet, &scopes, Correction::Force(version)).await
    }
}

impl Said {
    /// 0 stands for "before everything", as other tools have it, unless a file has that number.
    fn within(self, set: &MigrationSet) -> Option<Version> {
        let zero = Version::new(0);
        self.0
            .filter(|version| *version != zero || set.get(zero).is_some())
    }
}

fn version_or_none(text: &str) -> Result<Said, InvalidVersion> {
    match text {
        "none" => Ok(Said(None)),
        version => version.parse().map(|version| Said(Some(version))),
    }
}
