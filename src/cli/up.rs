//! `up`: applies what is pending.

use clap::Args;

use super::{
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

/// What `up` takes.
#[derive(Debug, Args)]
pub(super) struct Up {
    /// Which tenants: acme, a*, label:tier=free, shard:eu1, version<N, file:names.txt, percent:5; joined by commas, `!`
    /// excludes, names with other characters in "double quotes" [default: all]
    selector: Option<String>,
    /// Up to this version, and no further
    #[arg(long, value_name = "VERSION", conflicts_with = "steps")]
    to: Option<Version>,
    /// So many migrations; of the tenants, unless --scope says otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Apply a version that is lower than one already applied
    #[arg(long)]
    allow_out_of_order: bool,
    #[command(flatten)]
    options: TripOptions,
}

impl Up {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let mut fleet = context.fleet(&settings)?;
        fleet.out_of_order |= self.allow_out_of_order;
        let selection = Selection::take(&fleet, self.selector.as_deref(), context.output).await?;
        let (goal, mut typed) = match (self.to, self.steps) {
            (Some(version), _) => (Goal::UpTo(version), format!("--to {version}")),
            (_, Some(steps)) => (Goal::Up(steps as usize), format!("--steps {steps}")),
            _ => (Goal::Latest, String::new()),
        };
        if self.allow_out_of_order {
            typed.push_str(" --allow-out-of-order");
        }
        let scopes: &[Scope] = match (&self.options.scope, self.steps) {
            (Some(scope), _) => std::slice::from_ref(scope),
            (None, Some(_)) => &[Scope::Tenant],
            (None, None) => &[Scope::Shared, Scope::Tenant],
        };
        let retry = Retry {
            command: "up".to_owned(),
            selector: self.selector.as_deref(),
            arguments: typed,
            relative: self.steps.is_some(),
            work: Work::Once,
        };
        let trip = Trip {
            goal,
            scopes,
            selection,
            back: None,
            options: &self.options,
            retry,
        };
        trip.run(context, &settings, fleet).await
    }
}
