//! `tenant`: the registry, and the schemas of tenants made, taken over and taken away.

mod add;
mod import;
mod list;
mod many;
mod retire;
mod show;

use clap::Subcommand;

use super::{context::Context, error::CliError, exit::ExitCode};

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Makes a tenant: its schema is built, and can be used when this returns
    Add(add::Add),
    /// Lists the tenants and where they stand
    List(list::List),
    /// Shows all that is known of one tenant
    Show(show::Show),
    /// Takes over a schema that is there already, or was restored
    Import(import::Import),
    /// Drops tenants' schemas with everything in them, and forgets the tenants
    Retire(retire::Retire),
}

impl TenantCommand {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::Add(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Import(command) => command.run(context).await,
            Self::Retire(command) => command.run(context).await,
        }
    }
}
