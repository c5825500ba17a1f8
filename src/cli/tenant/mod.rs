//! `tenant`: the registry, and the schemas of tenants made, taken over, renamed and taken away.

mod add;
mod import;
mod label;
mod list;
mod many;
mod rename;
mod retire;
mod show;
mod suspend;

use clap::Subcommand;

use super::{context::Context, error::CliError, exit::ExitCode};

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub(super) enum TenantCommand {
    /// Makes a tenant: its schema is built, and can be used when this returns
    ///
    /// The migrations build it; where migrations.structure names a file that fits them, that does, and they are recorded as
    /// applied. Where the daemon has built a schema ahead (provision.pool_max), that gets the tenant's name.
    Add(add::Add),
    /// Lists the tenants and where they stand
    List(list::List),
    /// Shows all that is known of one tenant
    Show(show::Show),
    /// Takes over a schema that is there already, or was restored
    Import(import::Import),
    /// Sets labels on tenants, or takes them away
    Label(label::Label),
    /// Gives a tenant and its schema another name; what was cut off is finished by the same again
    Rename(rename::Rename),
    /// Leaves tenants where they stand: they are not moved with the fleet
    Suspend(suspend::Suspend),
    /// Has suspended tenants moved with the fleet again, and has retired ones back that are not dropped yet
    Resume(suspend::Resume),
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
            Self::Label(command) => command.run(context).await,
            Self::Rename(command) => command.run(context).await,
            Self::Suspend(command) => command.run(context).await,
            Self::Resume(command) => command.run(context).await,
            Self::Retire(command) => command.run(context).await,
        }
    }
}
