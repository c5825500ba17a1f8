//! `redo`: the last migration back and up again.

use clap::{ArgGroup, Args};

use super::{
    confirm,
    context::Context,
    error::CliError,
    exit::ExitCode,
    report::{Retry, Work},
    selection::Selection,
    trip::{Trip, TripOptions},
};
use crate::{migration::Scope, plan::Goal};

/// What `redo` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["selector", "all"]))]
pub(super) struct Redo {
    /// Which tenants, as for `up`
    selector: Option<String>,
    /// The whole fleet
    #[arg(long)]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
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
            back: None,
            options: &self.options,
            retry: Retry {
                command: "redo".to_owned(),
                selector: self.selector.as_deref().or(Some("--all")),
                arguments: String::new(),
                relative: true,
                work: Work::Again,
            },
        };
        if !self.yes && !confirm::backwards(&trip, &fleet, context.output).await? {
            return Ok(ExitCode::Failed);
        }
        trip.run(context, &settings, fleet).await
    }
}
