//! `rollout`: the fleet taken to a goal by the daemons. Each command writes what is wanted into the home database, or reads
//! what became of it.

mod bars;
mod json;
mod list;
mod pace;
mod show;
mod start;
mod text;
mod tries;
mod view;
mod watch;
mod wish;

pub(super) use start::duration;
pub(super) use view::find;

use clap::Subcommand;

use super::{context::Context, error::CliError, exit::ExitCode};
use crate::rollout::Wish;

/// What can be done with rollouts.
#[derive(Debug, Subcommand)]
pub(super) enum RolloutCommand {
    /// Asks the daemons to take the fleet to what the files have, wave by wave
    Start(start::Start),
    /// Shows the last rollouts
    List(list::List),
    /// Shows one rollout: its waves, what failed and what it waits for
    Show(show::Show),
    /// Shows one rollout until it is over or stands still
    Watch(watch::Watch),
    /// Lets it stand still: what runs is finished, nothing more is begun
    Pause(wish::Plain),
    /// Lets it go on; what has failed until now is forgiven
    Resume(wish::Plain),
    /// Ends it where it is; what is moved stays moved
    Cancel(wish::Plain),
    /// Tries again what failed or could not be begun, and goes on
    Retry(wish::Plain),
    /// Lets the wave begin that waits for it
    Approve(wish::Plain),
    /// Takes back what it has changed, and nothing else: the last first, the shared schemas last
    Rollback(wish::Back),
}

impl RolloutCommand {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::Start(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Watch(command) => command.run(context).await,
            Self::Pause(command) => command.wish(context, Wish::Pause).await,
            Self::Resume(command) => command.wish(context, Wish::Resume).await,
            Self::Cancel(command) => command.wish(context, Wish::Cancel).await,
            Self::Retry(command) => command.retry(context).await,
            Self::Approve(command) => command.approve(context).await,
            Self::Rollback(command) => command.run(context).await,
        }
    }
}
