//! Turning a rollout round: what it has changed, and nothing else, is taken back; the last first, the shared schemas last.

use super::{Member, Rollout, RolloutError};
use crate::{
    history::Digest,
    postgres::Connection,
    sql::Ident,
    store::{
        freeze::{self, Planned, Start},
        rollouts::Told,
        runs::{self, Changed},
    },
    tenant::{ShardName, Target},
};

/// Adds the waves that take back what a rollout has changed. False when it is not as it was any more.
pub(super) async fn turn_round(
    home: &mut Connection,
    me: &Member,
    rollout: &Rollout,
    why: Option<&str>,
) -> Result<bool, RolloutError> {
    let id = rollout.row.id;
    let changed = runs::changed(home, id).await?;
    let (shared, tenants): (Vec<_>, Vec<_>) =
        changed.iter().partition(|changed| changed.kind == "shared");
    let wave = |kind, changed: Vec<&Changed>| Planned {
        kind,
        budget: rollout.strategy.max_failures_per_wave.of(changed.len()),
        needs_approval: false,
        runs: changed.into_iter().filter_map(start).collect(),
    };
    let waves = [wave("back", tenants), wave("shared back", shared)];
    let waves: Vec<_> = waves
        .into_iter()
        .filter(|wave| !wave.runs.is_empty())
        .collect();
    let told = Told {
        who: &me.name,
        action: "take back",
        why,
    };
    let from = rollout.state.as_str();
    Ok(freeze::turn_round(home, id, me.id, from, &waves, &told).await?)
}

/// Where a schema stands that goes back. Its name was written by ourselves.
fn start(changed: &Changed) -> Option<Start> {
    let count = |number: i32| usize::try_from(number).unwrap_or_default();
    let digest = <[u8; 32]>::try_from(changed.from_digest.as_slice()).ok()?;
    Some(Start {
        target: Target {
            shard: ShardName::new(changed.shard.clone()),
            schema: Ident::new(changed.schema_name.clone()).ok()?,
        },
        version: changed.to_version.clone(),
        applied: Some((Digest::EMPTY, count(changed.to_applied))),
        blocked: None,
        keep: Some((count(changed.from_applied), Digest(digest))),
    })
}
