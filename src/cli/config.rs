//! `config show`: every setting in force, and where it is from.

use clap::Subcommand;
use comfy_table::Cell;
use serde::Serialize;

use super::{
    context::Context,
    error::CliError,
    exit::ExitCode,
    table::{Table, faint},
};
use crate::config::{Origin, Setting};

/// What can be done with settings.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Shows every setting in force, and where it is from
    Show,
}

#[derive(Serialize)]
struct Shown<'a> {
    settings: Vec<ShownSetting<'a>>,
}

#[derive(Serialize)]
struct ShownSetting<'a> {
    key: &'a str,
    value: &'a str,
    /// `default`, `file` or `environment`.
    origin: &'static str,
    /// The file, or the variable's name.
    source: Option<String>,
}

impl ConfigCommand {
    pub(super) fn run(&self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let Self::Show = self;
        let settings = context.settings()?;
        let shown = Shown {
            settings: settings.describe().iter().map(shown).collect(),
        };
        context.output.result(&shown, |paint| {
            let mut table = Table::new(paint, ["SETTING", "VALUE", "FROM"]);
            for setting in settings.describe() {
                let origin = match &setting.origin {
                    Origin::Default => faint(&setting.origin),
                    given => Cell::new(given),
                };
                table.row([Cell::new(&setting.key), Cell::new(&setting.value), origin]);
            }
            table.render()
        });
        Ok(ExitCode::Done)
    }
}

fn shown(setting: &Setting) -> ShownSetting<'_> {
    let (origin, source) = match &setting.origin {
        Origin::Default => ("default", None),
        Origin::File(path) => ("file", Some(path.display().to_string())),
        Origin::Environment(variable) => ("environment", Some(variable.clone())),
    };
    ShownSetting {
        key: &setting.key,
        value: &setting.value,
        origin,
        source,
    }
}
