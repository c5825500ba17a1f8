//! The scratch server of commands that try something out.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use crate::verify::scratch::{Options, ScratchError, Server, Source};

/// Where something is tried out, and what is there before.
#[derive(Debug, Args)]
pub(super) struct ScratchOptions {
    /// Where databases are made for it, and removed after it: container, local or the postgres:// URL of a server for
    /// tests [default: container, else local]
    #[arg(long, value_name = "SERVER")]
    server: Option<Source>,
    /// SQL for what a database has before the first migration, such as extensions
    #[arg(long, value_name = "FILE")]
    prepare: Option<PathBuf>,
}

impl ScratchOptions {
    /// Starts the server.
    pub(super) async fn start(&self) -> Result<Server, CliError> {
        self.start_with(&[]).await
    }

    /// The same with some settings, where it is started for this.
    pub(super) async fn start_with(&self, settings: &[(&str, &str)]) -> Result<Server, CliError> {
        // The program itself watches over the server.
        let program = std::env::current_exe().map_err(CliError::Runtime)?;
        let options = Options::new(program);
        let options = match &self.server {
            Some(source) => options.sources([source.clone()]),
            None => options,
        };
        let options = settings.iter().fold(options, |options, (name, value)| {
            options.setting(*name, *value)
        });
        Ok(Server::start(&options).await?)
    }

    /// The SQL that comes first.
    pub(super) fn prepare(&self) -> Result<Option<String>, CliError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| {
                CliError::Usage(format!("cannot read {}: {error}", path.display()))
            })
        };
        self.prepare.as_ref().map(read).transpose()
    }
}

impl From<ScratchError> for CliError {
    fn from(error: ScratchError) -> Self {
        Self::Verify(error.into())
    }
}
