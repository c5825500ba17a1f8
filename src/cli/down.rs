//! `down`: takes migrations back. Works when the files are gone, since the history has the texts.

use clap::{ArgGroup, Args};

use super::{
    confirm,
    context::Context,
    error::CliError,
    exit::ExitCode,
    report::{Retry, Work},
    rollout::find,
    selection::Selection,
    trip::{Trip, TripOptions},
};
use crate::{
    config::Settings,
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    plan::Goal,
    rollout,
    store::{events, rollouts::Told},
    travel::Back,
};

/// What `down` takes.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("goal").required(true).args(["steps", "to", "rollout"]))]
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
    /// What this rollout has changed, and nothing else, to where each stood before; it has to be over
    #[arg(long, value_name = "ID")]
    rollout: Option<i64>,
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
        let back = match self.rollout {
            Some(rollout) => Some((rollout, changes(&fleet, rollout).await?)),
            None => None,
        };
        let (goal, typed) = match (self.to, self.steps, &back) {
            (Some(version), ..) => (Goal::DownTo(version), format!("--to {version}")),
            (_, Some(steps), _) => (Goal::Down(steps as usize), format!("--steps {steps}")),
            (.., Some((id, back))) => (back.goal(), format!("--rollout {id}")),
            _ => {
                let what = "say --steps, --to or --rollout";
                return Err(CliError::Usage(what.to_owned()));
            }
        };
        if let Some((id, back)) = &back
            && back.is_empty()
        {
            let note = format!("rollout {id} has changed nothing");
            context.output.note(&note);
        }
        let trip = Trip {
            goal,
            scopes: self.scopes(),
            selection,
            back,
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
        if let Some(rollout) = self.rollout {
            tell(&fleet, rollout).await?;
        }
        trip.run(context, &settings, fleet).await
    }

    fn scopes(&self) -> &[Scope] {
        match &self.options.scope {
            Some(scope) => std::slice::from_ref(scope),
            None if self.all && self.steps.is_none() => &[Scope::Tenant, Scope::Shared],
            None => &[Scope::Tenant],
        }
    }
}

/// What a rollout has changed.
async fn changes(fleet: &Fleet, id: i64) -> Result<Back, CliError> {
    let mut home = fleet.home().await?;
    let rollout = find(home.connection(), Some(id)).await?;
    let changes = rollout::changes(home.connection(), &rollout).await?;
    home.close().await;
    Ok(changes)
}

/// Lets those know who look at the rollout later.
async fn tell(fleet: &Fleet, rollout: i64) -> Result<(), CliError> {
    let told = Told {
        who: &fleet.limits.who,
        action: "down --rollout",
        why: None,
    };
    let mut home = fleet.home().await?;
    events::tell(home.connection(), rollout, &told).await?;
    home.close().await;
    Ok(())
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
