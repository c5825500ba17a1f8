//! Turning a rollout round: what it has changed, and nothing else, is taken back; the last first, the shared schemas last.
//! By the daemons; or, of one that is over, by whoever asks for it.

use super::{Member, Rollout, RolloutError, work::mark};
use crate::{
    history::Digest,
    postgres::Connection,
    sql::Ident,
    store::{
        changes::{self, Changed},
        freeze::{self, Planned, Start},
        rollouts::Told,
        starts,
    },
    tenant::{ShardName, Target},
    travel::{Back, Keep},
};

/// What a rollout that is over has changed, to be taken back without daemons.
///
/// # Errors
/// Among others: it is under way, and daemons are at work on it.
pub async fn changes(home: &mut Connection, rollout: &Rollout) -> Result<Back, RolloutError> {
    let row = &rollout.row;
    let is_wanted_back = row.wanted == "back" && !row.back;
    if !rollout.state.is_over() || is_wanted_back {
        return Err(RolloutError::NotNow {
            id: row.id,
            state: rollout.state,
            action: "be taken back by a single process",
            remedy: "`tenantry rollout rollback` has the daemons take it back; or `tenantry rollout cancel` ends it where it \
                     is, then try again"
                .into(),
        });
    }
    let changed = changes::changed(home, row.id).await?;
    let starts = changed.iter().filter_map(start);
    let keep = starts.filter_map(|start| {
        let (applied, digest) = start.keep?;
        let (left, of) = start.applied?;
        let keep = Keep {
            applied,
            digest,
            of,
            left: Some(left).filter(|left| *left != Digest::EMPTY),
        };
        Some((start.target, keep))
    });
    let before = starts::before(home, row.id).await?;
    let shared = before.into_iter().filter(|before| before.is_shared);
    // Where one had nothing, that is the lowest.
    let floors = shared.map(|before| before.version.and_then(|version| version.parse().ok()));
    let floor = floors.min().flatten();
    Ok(Back::new(keep.collect(), floor, mark(row.id)))
}

/// Adds the waves that take back what a rollout has changed. False when it is not as it was any more.
pub(super) async fn turn_round(
    home: &mut Connection,
    me: &Member,
    rollout: &Rollout,
    why: Option<&str>,
) -> Result<bool, RolloutError> {
    let id = rollout.row.id;
    let mut changed = changes::changed(home, id).await?;
    // Seen by whoever gets there: what is half done, or was done by one that could not tell.
    changed.extend(changes::tried(home, id).await?);
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
    let digest = |digest: &[u8]| <[u8; 32]>::try_from(digest).ok().map(Digest);
    let left = changed.to_digest.as_deref().and_then(digest);
    Some(Start {
        target: Target {
            shard: ShardName::new(changed.shard.clone()),
            schema: Ident::new(changed.schema_name.clone()).ok()?,
        },
        version: changed.to_version.clone(),
        applied: Some((left.unwrap_or(Digest::EMPTY), count(changed.to_applied))),
        blocked: None,
        keep: Some((count(changed.from_applied), digest(&changed.from_digest)?)),
    })
}
