//! `goto`: to a version, whichever way it lies.

use clap::Args;

use super::{
    confirm,
    context::Context,
    error::CliError,
    exit::ExitCode,
    report::{Retry, Work},
    selection::Selection,
    trip::{Trip, TripOptions},
};
use crate::{
    migration::{Scope, Version},
    plan::Goal,
};

/// What `goto` takes.
#[derive(Debug, Args)]
pub(super) struct Goto {
    /// The version; it stays applied
    version: Version,
    /// Which tenants, as for `up` [default: all, where none goes back]
    selector: Option<String>,
    /// The whole fleet, even where it goes back
    #[arg(long, conflicts_with = "selector")]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    options: TripOptions,
}

impl Goto {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let selection = Selection::take(&fleet, self.selector.as_deref(), context.output).await?;
        let trip = Trip {
            goal: Goal::Goto(self.version),
            scopes: &[self.options.scope.unwrap_or(Scope::Tenant)],
            selection,
            back: None,
            options: &self.options,
            retry: Retry {
                command: format!("goto {}", self.version),
                selector: self.selector.as_deref().or(self.all.then_some("--all")),
                arguments: String::new(),
                relative: false,
                work: Work::Once,
            },
        };
        let back = confirm::way_back(&trip, &fleet).await?;
        if !back.is_empty() && self.selector.is_none() && !self.all {
            let message = format!(
                "{} would take migrations back: name the tenants, or say --all",
                self.version
            );
            return Err(CliError::Usage(message));
        }
        if !self.yes && !confirm::ask(&back, context.output)? {
            return Ok(ExitCode::Failed);
        }
        trip.run(context, &settings, fleet).await
    }
}
