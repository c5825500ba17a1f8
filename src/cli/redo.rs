//! `redo`: the last migration back and up again.

use clap::Args;

use super::{
    context::Context,
    error::CliError,
    exit::ExitCode,
    report::Retry,
    selection::Selection,
    trip::{Trip, TripOptions},
};
use crate::{migration::Scope, plan::Goal};

/// What `redo` takes.
#[derive(Debug, Args)]
pub(super) struct Redo {
    /// Which tenants, as for `up` [default: all]
    selector: Option<String>,
    #[command(flatten)]
    options: TripOptions,
}

impl Redo {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let selection = Selection::take(&fleet, self.selector.as_deref(), context.output).await?;
        let trip = Trip {
            goal: Goal::Redo,
            scopes: &[self.options.scope.unwrap_or(Scope::Tenant)],
            selection,
            options: &self.options,
            retry: Retry {
                command: "redo",
                selector: self.selector.as_deref(),
                arguments: self.options.typed(),
                relative: true,
            },
        };
        trip.run(context, &settings, fleet).await
    }
}
