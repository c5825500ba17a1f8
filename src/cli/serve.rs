//! `serve`: the daemon, until a signal ends it.

use clap::Args;

use super::{context::Context, error::CliError, exit::ExitCode};
use crate::daemon;

/// What `serve` takes: nothing that the settings do not say.
#[derive(Debug, Args)]
pub(super) struct Serve {}

impl Serve {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let built = daemon::build(context.logged_settings()?).await?;
        let stop = context.stop_unsaid(built.cut());
        if let Err(error) = built.run(stop.cancelled_owned()).await {
            let error = CliError::from(error);
            // From here on the log is all it says.
            tracing::error!("{}", error.message());
            return Ok(error.exit_code());
        }
        Ok(ExitCode::Done)
    }
}
