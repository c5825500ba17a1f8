//! `down`: takes migrations back. Works when the files are gone, since the history has the texts.

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
use crate::{
    config::Settings,
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    plan::Goal,
};

/// What `down` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("goal").required(true).args(["steps", "to"]))]
#[command(group = ArgGroup::new("whom").required(true).args(["selector", "all"]))]
pub(super) struct Down {
    /// Which tenants, as for `up`
    selector: Option<String>,
    /// The whole fleet
    #[arg(long)]
    all: bool,
    /// So many migrations; of the tenants, unless --scope says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Back until this version is the highest one; 0 takes everything back
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    options: TripOptions,
}

impl Down {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = without_need_of_files(context, &settings)?;
        let selection = Selection::take(&fleet, self.selector.as_deref(), context.output).await?;
        let (goal, typed) = match (self.to, self.steps) {
            (Some(version), _) => (Goal::DownTo(version), format!("--to {version}")),
            (None, Some(steps)) => (Goal::Down(steps as usize), format!("--steps {steps}")),
            (None, None) => return Err(CliError::Usage("say --steps or --to".to_owned())),
        };
        let trip = Trip {
            goal,
            scopes: self.scopes(),
            selection,
            options: &self.options,
            retry: Retry {
                command: "down".to_owned(),
                selector: self.selector.as_deref().or(Some("--all")),
                arguments: typed,
                relative: self.steps.is_some(),
                work: Work::Once,
            },
        };
        if !self.yes && !confirm::backwards(&trip, &fleet, context.output).await? {
            return Ok(ExitCode::Failed);
        }
        trip.run(context, &settings, fleet).await
    }

    fn scopes(&self) -> &[Scope] {
        match &self.options.scope {
            Some(scope) => std::slice::from_ref(scope),
            None if self.all && self.to.is_some() => &[Scope::Tenant, Scope::Shared],
            None => &[Scope::Tenant],
        }
    }
}

fn without_need_of_files(context: &Context<'_>, settings: &Settings) -> Result<Fleet, CliError> {
    match context.fleet(settings) {
        Err(CliError::Fleet(FleetError::Files(problems))) => {
            for problem in problems.as_slice() {
                let path = problem.path.display();
                context.output.note(&format!(
                    "{path}: {}; the way back does not need the files",
                    problem.what
                ));
            }
            Ok(Fleet::without_files(settings)?)
        }
        fleet => fleet,
    }
}
