//! `completions`: a script by which a shell completes what is typed.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};
use serde::Serialize;

use super::{arguments::Arguments, context::Context, error::CliError, exit::ExitCode};

/// What `completions` takes.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that the script is for
    shell: Shell,
}

#[derive(Serialize)]
struct Script {
    shell: String,
    script: String,
}

impl Completions {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let mut command = Arguments::command();
        let mut script = Vec::new();
        generate(self.shell, &mut command, "tenantry", &mut script);
        let script = Script {
            shell: self.shell.to_string(),
            script: String::from_utf8_lossy(&script).into_owned(),
        };
        context.output.verbatim(&script, |_| script.script.clone());
        Ok(ExitCode::Done)
    }
}
