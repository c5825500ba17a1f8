//! `tenant add`: a new tenant, usable when this returns.

use std::time::Instant;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode, human},
    fleet::Fleet,
    migration::Version,
    provision::{self, Because, By, ProvisionError},
    store::{
        heads,
        tenants::{self, Labels, Tenant},
    },
    tenant::{ShardName, TenantName, TenantState},
};

/// What `tenant add` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// The tenant's name, which is also its schema's
    name: String,
    /// Where to put it [default: the shard that is the least full]
    #[arg(long, value_name = "SHARD")]
    shard: Option<String>,
    /// A free word on it, by which selectors find it; can be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Added<'a> {
    #[serde(flatten)]
    tenant: &'a Tenant,
    schema: &'a str,
    version: Option<Version>,
    /// Why it is on that shard.
    placement: Because,
    /// `migrations`, `structure`, `pool` where it was built ahead, or `another` session that was quicker.
    built_by: &'static str,
    /// Why not from the file of the structure, where there is one that was of no use.
    not_built_from_structure: Option<&'a str>,
    elapsed_ms: u128,
}

impl Add {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let name = settings.tenant_name(&self.name)?;
        let fleet = context.fleet(&settings)?;
        let start = Instant::now();
        let shard = self.shard.map(ShardName::new);
        let placement = provision::place(&fleet, &name, shard.as_ref()).await?;
        let shard = placement.shard;
        let labels: Labels = self.labels.into_iter().collect();
        let added = match provision::add(&fleet, &name, &shard.name, &labels).await {
            Ok(added) => added,
            Err(why) => return Err(unbuilt(&fleet, &name, why).await),
        };
        let elapsed = start.elapsed();
        let version = stands(&fleet, &added.tenant).await?;
        let (tenant, built_by) = (added.tenant, added.built);
        let added = Added {
            tenant: &tenant,
            schema: name.as_str(),
            version,
            placement: placement.because,
            built_by: word(&built_by),
            not_built_from_structure: match &built_by {
                By::MigrationsInstead(why) => Some(why),
                _ => None,
            },
            elapsed_ms: elapsed.as_millis(),
        };
        context.output.result(&added, |paint| {
            let at =
                version.map_or_else(|| "with nothing applied".to_owned(), |v| format!("at {v}"));
            let why = placement.because.text();
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let from = match built_by {
                By::Structure => ", built from its structure",
                By::Pool => ", built ahead",
                _ => "",
            };
            format!(
                "tenant {} is {}: schema {} on shard {}{why}, {at}{from}, in {}",
                tenant.name,
                paint.good("ready"),
                name.schema(),
                tenant.shard,
                human::duration(elapsed)
            )
        });
        if placement.because.is_full() {
            let full = human::number(usize::try_from(provision::FULL).unwrap_or(usize::MAX));
            context.output.warning(&format!(
                "shard {} has more than {full} relations, which makes a database slow: add a further shard",
                tenant.shard
            ));
        }
        Ok(ExitCode::Done)
    }
}

/// The version at which a tenant stands, wherever the files go: contracts and rollouts say how far it was built.
async fn stands(fleet: &Fleet, tenant: &Tenant) -> Result<Option<Version>, CliError> {
    let mut session = fleet.shard(fleet.shard_of(tenant)?).await?;
    let pinned = heads::get(session.connection(), tenant.name.schema()).await?;
    session.close().await;
    Ok(pinned.and_then(|pinned| pinned.head.version))
}

/// The error, with what is left of the tenant where it was registered before.
async fn unbuilt(fleet: &Fleet, name: &TenantName, why: ProvisionError) -> CliError {
    let registered = async {
        let mut home = fleet.home().await.ok()?;
        let tenant = tenants::get(home.connection(), name).await.ok()?;
        home.close().await;
        tenant
    };
    match registered.await {
        // On another shard, where it is said so already.
        _ if matches!(why, ProvisionError::Shard(_)) => why.into(),
        Some(tenant) if tenant.state == TenantState::Provisioning => CliError::Begun {
            name: name.to_string(),
            shard: tenant.shard.to_string(),
            why: Box::new(why.into()),
        },
        _ => why.into(),
    }
}

fn word(built_by: &By) -> &'static str {
    match built_by {
        By::Migrations | By::MigrationsInstead(_) => "migrations",
        By::Structure => "structure",
        By::Pool => "pool",
        By::Another => "another",
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE, such as tier=free".to_owned()),
    }
}
