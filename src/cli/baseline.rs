//! `baseline`: takes schemas without a history as being at a version.

use clap::Args;

use super::{
    context::Context,
    correction::{Whom, carry_out},
    error::CliError,
    exit::ExitCode,
};
use crate::{
    migration::{Scope, Version},
    plan::Correction,
    provision,
    travel::Survey,
};

/// What `baseline` takes.
#[derive(Debug, Args)]
pub(super) struct Baseline {
    /// The version up to which everything is in the schemas
    version: Version,
    #[command(flatten)]
    whom: Whom,
}

impl Baseline {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        self.whom.check()?;
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        if self.whom.scope == Scope::Shared {
            provision::import_shared(&fleet).await?;
        }
        let survey = Survey::take(&fleet).await?;
        let scopes = [(self.whom.scope, self.whom.of(&survey, context)?)];
        carry_out(context, &fleet, &scopes, Correction::Baseline(self.version)).await
    }
}
