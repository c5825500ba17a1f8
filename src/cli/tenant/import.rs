//! `tenant import`: takes over a schema that is there already, or was restored.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode},
    provision::{self, Imported},
    tenant::ShardName,
};

/// What `tenant import` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The schema's name, which becomes the tenant's
    name: String,
    /// Where it is [default: the only shard there is]
    #[arg(long, value_name = "SHARD")]
    shard: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    shard: &'a ShardName,
    imported: Imported,
}

impl Import {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let name = settings.tenant_name(&self.name)?;
        let fleet = context.fleet(&settings)?;
        let shard = self.shard.map(ShardName::new);
        let shard = &provision::choose_shard(&fleet, shard.as_ref())?.name;
        let imported = provision::import(&fleet, &name, shard).await?;
        let shown = Shown {
            name: name.as_str(),
            shard,
            imported,
        };
        context.output.result(&shown, |_| match imported {
            Imported::New => format!(
                "tenant {name} is registered; `tenantry tenant show` tells where it stands, and `tenantry baseline` says \
                 where it does when it has no history"
            ),
            Imported::Repinned => format!(
                "tenant {name} has its history back; if the schema was restored from an older state than that, \
                 `tenantry force` says which"
            ),
            Imported::Unchanged => format!("tenant {name} was known as it is"),
        });
        Ok(ExitCode::Done)
    }
}
