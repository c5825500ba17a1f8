//! A lot of claimed runs, sorted by where their schemas are taken; and what becomes of those that did not get there.

use std::{collections::HashMap, time::Duration};

use crate::{
    apply::Failure,
    history::Digest,
    postgres::Blocker,
    store::runs::{Claimed, Now, Trouble},
    travel::{Aim, Standing},
};

/// Runs that have one aim, by schema, and where these stand.
pub(super) type Aimed = (Aim, HashMap<String, Claimed>, Vec<Standing>);

/// Runs and where their schemas stand, by where they are taken.
pub(super) fn by_aim(claimed: Vec<Claimed>, standings: Vec<Standing>) -> Vec<Aimed> {
    let mut standings: HashMap<_, _> = standings
        .into_iter()
        .map(|standing| (standing.target.schema.as_str().to_owned(), standing))
        .collect();
    let mut aimed: Vec<Aimed> = Vec::new();
    for run in claimed {
        let Some(standing) = standings.remove(&run.schema_name) else {
            continue;
        };
        let digest = run
            .keep_digest
            .as_deref()
            .and_then(|d| <[u8; 32]>::try_from(d).ok());
        let aim = match (run.keep_applied, digest) {
            (Some(keep), Some(digest)) => {
                Aim::Keep(usize::try_from(keep).unwrap_or_default(), Digest(digest))
            }
            _ => Aim::Forth,
        };
        let index = aimed.iter().position(|(other, ..)| *other == aim);
        let index = index.unwrap_or_else(|| {
            aimed.push((aim, HashMap::new(), Vec::new()));
            aimed.len() - 1
        });
        if let Some((_, runs, places)) = aimed.get_mut(index) {
            runs.insert(run.schema_name.clone(), run);
            places.push(standing);
        }
    }
    aimed
}

/// It is to be tried again after so long, and has met no lock.
pub(super) fn later(pause: Duration) -> Now {
    Now::Later(pause, false)
}

/// What became of a run, for the figures.
pub(super) fn outcome(state: Now) -> &'static str {
    match state {
        Now::Done => "done",
        Now::Failed => "failed",
        Now::Skipped => "skipped",
        Now::Later(..) => "again",
        Now::Untouched(_) => "untouched",
    }
}

/// What a failure is in the home database: without the statements of others, which may hold a tenant's data.
pub(super) fn trouble(failure: &Failure) -> Trouble {
    let blockers: Vec<_> = failure
        .blockers
        .iter()
        .map(Blocker::without_query)
        .collect();
    let fault = serde_json::to_value(failure.fault);
    let alone = Failure {
        blockers: Vec::new(),
        ..failure.clone()
    };
    Trouble {
        fault: fault
            .ok()
            .and_then(|fault| fault.as_str().map(str::to_owned))
            .unwrap_or_default(),
        error: alone.to_string(),
        blocker: (!blockers.is_empty()).then(|| blockers.join("; ")),
    }
}
