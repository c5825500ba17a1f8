//! The fingerprints of many schemas: shard by shard, in slices that have a connection each, as what the server remembers of
//! a schema is given back only with the connection.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::Fleet,
    postgres::Shard,
    structure::{Limits, Looked, StructureError, fingerprints},
    tenant::{ShardName, Target},
};

/// So many slices a shard has, however few its schemas are.
const FEWEST_SLICES: usize = 8;

/// Schemas in one slice, until there are the most slices that there may be.
const SLICE: usize = 250;

/// So many slices a shard has at most, however many its schemas are.
const MOST_SLICES: usize = 64;

/// How long one query over a slice may take.
const TIME: Duration = Duration::from_secs(300);

/// With less of it nothing is begun.
const LEAST_TIME: Duration = Duration::from_millis(1);

/// How fast schemas are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the shards' own limits allow.
    Full,
    /// So many schemas a second on each shard, by one connection at a time.
    PerSecond(usize),
}

/// How all of them are looked at.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// How fast.
    pub pace: Pace,
    /// Once it is cancelled, nothing more is begun.
    pub stop: &'a CancellationToken,
    /// When it has to be done; none where it may take its time.
    pub deadline: Option<Instant>,
    /// Is told how many more were looked at.
    pub seen: &'a dyn Fn(usize),
}

impl<'a> Course<'a> {
    /// It may take its time, and nobody is told how far it has come.
    pub fn new(pace: Pace, stop: &'a CancellationToken) -> Self {
        Self {
            pace,
            stop,
            deadline: None,
            seen: &|_| (),
        }
    }

    /// How long each of the two queries over a slice may take that is begun now; none where nothing is begun any more.
    fn time(&self) -> Option<Duration> {
        if self.stop.is_cancelled() {
            return None;
        }
        let Some(deadline) = self.deadline else {
            return Some(TIME);
        };
        let half = deadline.saturating_duration_since(Instant::now()) / 2;
        (half >= LEAST_TIME).then_some(half.min(TIME))
    }
}

/// Looks at schemas, given with the OIDs that they were pinned with. What is not in the answer was
/// not looked at, as it was stopped or its time was over.
pub async fn sweep(
    fleet: &Fleet,
    targets: impl IntoIterator<Item = (Target, u32)>,
    course: Course<'_>,
) -> BTreeMap<Target, Looked> {
    let mut by_shard: BTreeMap<ShardName, Vec<(Target, u32)>> = BTreeMap::new();
    for (target, oid) in targets {
        by_shard
            .entry(target.shard.clone())
            .or_default()
            .push((target, oid));
    }
    let shards = by_shard.into_iter().filter_map(|(name, targets)| {
        let shard = fleet.shards.get(&name)?;
        Some(of_shard(fleet, shard, targets, course))
    });
    join_all(shards).await.into_iter().flatten().collect()
}

async fn of_shard(
    fleet: &Fleet,
    shard: &Shard,
    targets: Vec<(Target, u32)>,
    course: Course<'_>,
) -> Vec<(Target, Looked)> {
    let Course { pace, stop, .. } = course;
    let (slices, at_once) = match pace {
        Pace::Full => (slices(targets.len()), shard.concurrency),
        Pace::PerSecond(many) => (targets.len().div_ceil(many.max(1)), 1),
    };
    let slices: Vec<_> = cut(targets, slices);
    let looked = stream::iter(slices).map(|slice| async move {
        let Some(time) = course.time() else {
            return Vec::new();
        };
        let begun = Instant::now();
        let looked = of_slice(fleet, shard, slice, time).await;
        // What a deadline has cut off was not looked at.
        let looked = match looked {
            Err(Late(_)) if course.deadline.is_some() => Vec::new(),
            Err(Late(looked)) | Ok(looked) => looked,
        };
        (course.seen)(looked.len());
        if let Pace::PerSecond(many) = pace {
            let due = Duration::from_secs_f64(looked.len() as f64 / many.max(1) as f64);
            let rest = tokio::time::sleep_until(begun + due);
            stop.run_until_cancelled(rest).await;
        }
        looked
    });
    looked.buffer_unordered(at_once.max(1)).concat().await
}

/// A slice that took longer than it might.
struct Late(Vec<(Target, Looked)>);

async fn of_slice(
    fleet: &Fleet,
    shard: &Shard,
    slice: Vec<(Target, u32)>,
    time: Duration,
) -> Result<Vec<(Target, Looked)>, Late> {
    let oids: Vec<_> = slice.iter().map(|(_, oid)| *oid).collect();
    let mut is_late = false;
    let looked = async {
        let mut session = fleet
            .shard(shard)
            .await
            .map_err(|error| error.to_string())?;
        let limits = Limits {
            locks: fleet.limits.locks,
            time,
        };
        let looked = fingerprints(session.connection(), &oids, limits).await;
        session.close().await;
        looked.map_err(|error| {
            is_late = error.is_of_time();
            said(&error)
        })
    };
    let cut = fleet.shards.cut();
    let looked = match cut.run_until_cancelled(looked).await {
        Some(looked) => looked,
        None => Err("stopped at once, as was asked for".to_owned()),
    };
    let looked = slice
        .into_iter()
        .map(|(target, oid)| {
            let of_target = match &looked {
                Ok(looked) => looked.get(&oid).cloned(),
                Err(error) => Some(Err(error.clone())),
            };
            (
                target,
                of_target.unwrap_or_else(|| Err("it was not found".to_owned())),
            )
        })
        .collect();
    match is_late {
        true => Err(Late(looked)),
        false => Ok(looked),
    }
}

/// An error with its causes, on one line.
pub(super) fn said(error: &StructureError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn slices(targets: usize) -> usize {
    targets.div_ceil(SLICE).clamp(FEWEST_SLICES, MOST_SLICES)
}

/// Cuts into so many slices, of the same length but for one; into as many as there are, where those are fewer.
fn cut<T>(mut all: Vec<T>, slices: usize) -> Vec<Vec<T>> {
    let mut cut = Vec::new();
    for left in (1..=slices.min(all.len())).rev() {
        let rest = all.split_off(all.len().div_ceil(left));
        cut.push(std::mem::replace(&mut all, rest));
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_do_not_grow_with_the_fleet() {
        for (targets, expected) in [
            (10, 8),
            (1_000, 8),
            (2_000, 8),
            (10_000, 40),
            (1_000_000, 64),
        ] {
            assert_eq!(slices(targets), expected, "{targets}");
        }
    }

    #[test]
    fn everything_is_in_one_slice() {
        for (all, slices) in [(10, 8), (8, 8), (1_000, 8), (3, 8), (0, 8), (7, 1)] {
            let cut = cut((0..all).collect(), slices);
            assert_eq!(cut.len(), slices.min(all), "{all}: {cut:?}");
            assert_eq!(cut.concat(), (0..all).collect::<Vec<_>>());
        }
    }
}
