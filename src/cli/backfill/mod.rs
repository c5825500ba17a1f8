//! `backfill`: large changes of data, in small batches.

mod list;
mod report;
mod start;

use clap::Subcommand;

use super::{context::Context, error::CliError, exit::ExitCode};
use list::List;
use start::Start;

/// What can be done with backfills.
#[derive(Debug, Subcommand)]
pub(super) enum BackfillCommand {
    /// Begins a backfill, or goes on where it was cut off
    Start(Start),
    /// Shows the backfills there are, and how far they have come
    List(List),
}

impl BackfillCommand {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::Start(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
        }
    }
}
