//! `rollout show`.

use clap::Args;

use super::{json, text, view::View};
use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode},
    fleet::Fleet,
};

/// What `rollout show` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// Its number [default: the one that is under way, else the last one]
    id: Option<i64>,
}

impl Show {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let view = View::take(&fleet, self.id).await?;
        let output = context.output;
        output.result(&json::view(&view), |paint| text::view(&view, paint));
        Ok(ExitCode::Done)
    }
}
