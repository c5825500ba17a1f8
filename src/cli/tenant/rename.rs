//! `tenant rename`: another name for a tenant and its schema.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode},
    fleet::Fleet,
    provision,
};

/// What `tenant rename` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rename {
    /// The tenant
    old: String,
    /// The name that it and its schema are to have
    new: String,
}

#[derive(Serialize)]
struct Renamed<'a> {
    name: &'a str,
    was: &'a str,
    schema: &'a str,
}

impl Rename {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let old = settings.tenant_name(&self.old)?;
        let new = settings.tenant_name(&self.new)?;
        let fleet = Fleet::without_files(&settings)?;
        provision::rename(&fleet, &old, &new).await?;
        let renamed = Renamed {
            name: new.as_str(),
            was: old.as_str(),
            schema: new.as_str(),
        };
        if old == new {
            let text = format!("tenant {old} keeps its name, and so does its schema");
            context.output.result(&renamed, |_| text);
            return Ok(ExitCode::Done);
        }
        context.output.result(&renamed, |_| {
            format!("tenant {old} is {new} now, and so is its schema")
        });
        context.output.note(
            "what names the schema in a text is as it was: bodies of functions, search paths of roles, applications",
        );
        Ok(ExitCode::Done)
    }
}
