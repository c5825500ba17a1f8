//! `man`: the manual's pages, one a command, made from what `--help` says.

use std::{fs, path::PathBuf};

use clap::{Args, Command, CommandFactory as _};
use serde::Serialize;

use super::{arguments::Arguments, context::Context, error::CliError, exit::ExitCode, human};

/// What `man` takes.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Where to write them; made where it is not there
    directory: PathBuf,
}

#[derive(Serialize)]
struct Written {
    files: Vec<String>,
}

impl Man {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let directory = &self.directory;
        let cannot_write = |error: std::io::Error| {
            CliError::Usage(format!("cannot write to {}: {error}", directory.display()))
        };
        fs::create_dir_all(directory).map_err(cannot_write)?;
        let mut command = Arguments::command().disable_help_subcommand(true);
        // Names such as tenantry-tenant-add are made here.
        command.build();
        let mut files = Vec::new();
        for page in pages(&command) {
            let file = page.generate_to(directory).map_err(cannot_write)?;
            files.push(file.display().to_string());
        }
        let written = Written { files };
        context.output.result(&written, |_| {
            let pages = human::count(written.files.len(), "page", "pages");
            format!(
                "{pages} of the manual in {0}; to read one: `man -l {0}/tenantry.1`",
                directory.display()
            )
        });
        Ok(ExitCode::Done)
    }
}

/// The page of a command, and those of all commands below it.
fn pages(command: &Command) -> Vec<clap_mangen::Man> {
    let below = command.get_subcommands();
    let below = below.filter(|command| !command.is_hide_set());
    let own = clap_mangen::Man::new(command.clone()).manual("tenantry");
    std::iter::once(own).chain(below.flat_map(pages)).collect()
}
