//! `new`: the files of a new migration.

use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{context::Context, error::CliError, exit::ExitCode, trip::scope};
use crate::{
    config::Settings,
    migration::{
        Scope, Version,
        create::{CreateError, NewMigration, create},
        read,
    },
};

/// What `new` takes.
#[derive(Debug, Args)]
pub(super) struct New {
    /// What it is for, in words
    name: String,
    /// Whose migration it is
    #[arg(long, value_name = "SCOPE", value_parser = scope(), default_value = "tenant")]
    scope: Scope,
    /// Number it in sequence, not by the time
    #[arg(long)]
    seq: bool,
    /// For what PostgreSQL refuses inside a transaction
    #[arg(long)]
    no_transaction: bool,
}

#[derive(Serialize)]
struct Shown<'a> {
    scope: Scope,
    version: Version,
    up: &'a Path,
    down: &'a Path,
    notice: Option<&'a str>,
}

impl New {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let directories = directories(&settings, self.scope);
        let Some(directory) = directories.first() else {
            let message = format!("`migrations.{}` names no directory", self.scope);
            return Err(CliError::Usage(message));
        };
        let made = made(directory)?;
        let set = read(self.scope, directories).map_err(crate::fleet::FleetError::from)?;
        let created = create(
            &set,
            NewMigration {
                name: &self.name,
                directory,
                sequence: self.seq,
                no_transaction: self.no_transaction,
                now: Timestamp::now(),
            },
        )?;
        if made {
            let directory = directory.display();
            context
                .output
                .note(&format!("made the directory {directory}"));
        }
        if let Some(notice) = &created.notice {
            context.output.note(notice);
        }
        let shown = Shown {
            scope: self.scope,
            version: created.version,
            up: &created.up,
            down: &created.down,
            notice: created.notice.as_deref(),
        };
        context.output.result(&shown, |_| {
            format!("{}\n{}", created.up.display(), created.down.display())
        });
        Ok(ExitCode::Done)
    }
}

/// Makes the directory of a set that has none yet; whether it had none.
fn made(directory: &Path) -> Result<bool, CreateError> {
    if directory.exists() {
        return Ok(false);
    }
    std::fs::create_dir_all(directory).map_err(|source| CreateError::Write {
        path: directory.to_owned(),
        source,
    })?;
    Ok(true)
}

fn directories(settings: &Settings, scope: Scope) -> &[std::path::PathBuf] {
    match scope {
        Scope::Shared => &settings.migrations.shared,
        Scope::Tenant => &settings.migrations.tenant,
    }
}
