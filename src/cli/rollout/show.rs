//! `rollout show`.

use clap::Args;

use super::{json, text, tries, view::View};
use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode},
    fleet::Fleet,
};

/// What `rollout show` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// Its number [default: the one that is under way, else the last one]
    id: Option<i64>,
    /// What was tried with this tenant, try by try (or with the shared schema, by its name)
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

impl Show {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        if let Some(name) = &self.tenant {
            return tries::show(context, self.id, name).await;
        }
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let view = View::take(&fleet, self.id).await?;
        let output = context.output;
        output.result(&json::view(&view), |paint| text::view(&view, paint));
        Ok(ExitCode::Done)
    }
}
