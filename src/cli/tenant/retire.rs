//! `tenant retire`: drops a tenant's schema with everything in it.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{ask, context::Context, error::CliError, exit::ExitCode},
    provision::{self, ProvisionError},
    store::tenants,
};

/// What `tenant retire` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Retire {
    /// The tenant
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Retired<'a> {
    name: &'a str,
    retired: bool,
}

impl Retire {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let name = settings.tenant_name(&self.name)?;
        // The way out must work whatever the files are like.
        let fleet = crate::fleet::Fleet::without_files(&settings)?;
        let mut home = fleet.home().await?;
        let tenant = tenants::get(home.connection(), &name).await?;
        home.close().await;
        let tenant = tenant.ok_or_else(|| ProvisionError::Unknown(name.to_string()))?;
        let about = format!(
            "This drops the schema {} on shard {}, with all the data in it.",
            name.schema(),
            tenant.shard
        );
        if !self.yes && !ask::name_again(context.output, &about, name.as_str())? {
            return Ok(ExitCode::Failed);
        }
        provision::retire(&fleet, &name).await?;
        let retired = Retired {
            name: name.as_str(),
            retired: true,
        };
        context
            .output
            .result(&retired, |_| format!("tenant {name} is no more"));
        Ok(ExitCode::Done)
    }
}
