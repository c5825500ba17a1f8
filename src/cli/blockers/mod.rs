//! `blockers`: who waits for whom, and since when; with `--terminate`, the end of a session.
//!
//! A shard that cannot be reached hides nothing of the others.

mod json;
mod terminate;
mod text;

use clap::Args;
use futures::future::join_all;

use super::{
    context::Context, error::CliError, exit::ExitCode, output::Output, selection::Selection,
};
use crate::{
    fleet::{Fleet, FleetError},
    postgres::{ServerError, Shard, Wait, waits},
    store::{heads, tenants},
    tenant::{ShardName, Target},
    travel::{Standing, Survey},
};

/// What `blockers` takes.
#[derive(Debug, Args)]
pub(super) struct Blockers {
    /// Only waits for tables of these tenants, as for `up` [default: all waits in each database]
    #[arg(conflicts_with = "terminate")]
    selector: Option<String>,
    /// Ends these sessions; their transactions are rolled back
    #[arg(long, value_name = "PID", num_args = 1.., value_delimiter = ',', value_parser = clap::value_parser!(i32).range(1..))]
    terminate: Vec<i32>,
    /// Only this shard; with --terminate, the one on which the sessions are [default: the only shard there is]
    #[arg(long, value_name = "SHARD")]
    shard: Option<String>,
    /// Do not ask
    #[arg(long, requires = "terminate")]
    yes: bool,
}

/// What one shard says.
struct Seen {
    shard: ShardName,
    waits: Result<Vec<Wait>, ServerError>,
}

impl Blockers {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        // It has to work whatever the files are like.
        let fleet = Fleet::without_files(&settings)?;
        let shard = self.shard.map(ShardName::new);
        if !self.terminate.is_empty() {
            let shard = crate::provision::choose_shard(&fleet, shard.as_ref())?;
            return terminate::run(shard, &self.terminate, self.yes, context.output).await;
        }
        let named = match &shard {
            Some(_) => Some(crate::provision::choose_shard(&fleet, shard.as_ref())?),
            None => None,
        };
        let shards = fleet.shards.iter();
        let shards = shards.filter(|shard| named.is_none_or(|named| named.name == shard.name));
        let looks = join_all(shards.map(look)).await;
        let seen = match &self.selector {
            Some(selector) => chosen(&fleet, selector, looks, context.output).await?,
            None => looks.into_iter().map(|look| look.seen).collect(),
        };
        context
            .output
            .result(&json::all(&seen), |paint| text::all(&seen, paint));
        text::advise(&seen, context.output);
        let away = seen.iter().filter(|seen| seen.waits.is_err()).count();
        Ok(match away {
            0 => ExitCode::Done,
            away if away == seen.len() => ExitCode::Unreachable,
            // What the others say was told.
            _ => ExitCode::Failed,
        })
    }
}

/// What one shard says, and where its schemas stand as far as it has that.
struct Look {
    seen: Seen,
    heads: Vec<heads::Pinned>,
}

async fn look(shard: &Shard) -> Look {
    let mut heads = Vec::new();
    let waits = match shard.connect().await {
        Err(error) => Err(error.into_error()),
        Ok(mut session) => {
            let waits = waits(session.connection(), None).await;
            if waits.is_ok() {
                // A database that is no shard yet has none.
                heads = heads::list(session.connection()).await.unwrap_or_default();
                session.close().await;
            }
            waits
        }
    };
    let shard = shard.name.clone();
    Look {
        seen: Seen { shard, waits },
        heads,
    }
}

/// Of the waits, those for tables of the tenants that the selector names.
async fn chosen(
    fleet: &Fleet,
    selector: &str,
    looks: Vec<Look>,
    output: &Output,
) -> Result<Vec<Seen>, CliError> {
    let survey = survey(fleet, &looks).await?;
    let selection = Selection::of(&survey, Some(selector), output)?;
    let tenants: Vec<_> = survey
        .tenants
        .iter()
        .filter(|s| selection.holds(s))
        .collect();
    let seen = looks.into_iter().map(|look| {
        let Seen { shard, waits } = look.seen;
        let is_of_one = |wait: &Wait| {
            tenants.iter().any(|standing| {
                let Target { shard: on, schema } = &standing.target;
                *on == shard && wait.schema.as_deref() == Some(schema.as_str())
            })
        };
        let waits = waits.map(|waits| waits.into_iter().filter(is_of_one).collect());
        Seen { shard, waits }
    });
    Ok(seen.collect())
}

/// Every tenant of the registry, and where it stands as far as its shard could say.
async fn survey(fleet: &Fleet, looks: &[Look]) -> Result<Survey, FleetError> {
    let mut home = fleet.home().await?;
    let tenants = tenants::list(home.connection()).await?;
    home.close().await;
    let standing = |tenant: tenants::Tenant| {
        let target = Target {
            shard: tenant.shard.clone(),
            schema: tenant.name.schema().clone(),
        };
        let look = looks.iter().find(|look| look.seen.shard == target.shard);
        let heads = look.into_iter().flat_map(|look| &look.heads);
        let pinned = heads
            .clone()
            .find(|pinned| pinned.head.schema == target.schema.as_str());
        Standing {
            pinned: pinned.cloned(),
            tenant: Some(tenant),
            target,
            away: None,
        }
    };
    Ok(Survey {
        tenants: tenants.into_iter().map(standing).collect(),
        ..Survey::default()
    })
}
