//! From the copies to the fleet: what the plan will take everywhere, and what that supposes.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Ended, Estimate, Rehearsed, ShardEstimate,
    candidate::{Candidate, Likeness},
};
use crate::{fleet::Fleet, migration::Scope, tenant::ShardName};

/// A tenant that was rehearsed, and what it tells of those that are like it.
struct Example<'a> {
    likeness: &'a Likeness,
    bytes: u64,
    /// What every tenant takes.
    fixed: Duration,
    /// What grows with the rows; none where that is not known.
    growing: Option<Duration>,
}

/// What it will take for all `candidates`; none where no tenant and no shared schema came to the end, or too few rows were
/// copied to tell.
pub(super) fn estimate(
    fleet: &Fleet,
    candidates: &[Candidate],
    copies: &[Rehearsed],
) -> Option<Estimate> {
    let examples = examples(candidates, copies);
    let mut shards: BTreeMap<&ShardName, ShardEstimate> = BTreeMap::new();
    let shard_of = |name: &ShardName| {
        let shard = fleet.shards.get(name);
        ShardEstimate {
            shard: name.clone(),
            tenants: 0,
            at_once: shard.map_or(1, |shard| shard.concurrency.max(1)),
            shared: Duration::ZERO,
            tenants_elapsed: Duration::ZERO,
        }
    };
    for copy in copies.iter().filter(|copy| copy.scope == Scope::Shared) {
        let shard = shards.entry(&copy.shard);
        shard.or_insert_with(|| shard_of(&copy.shard)).shared = copy.estimated?;
    }
    let (mut slowest, mut longest) = (None, BTreeMap::new());
    let mut most = Duration::ZERO;
    for candidate in candidates {
        let name = &candidate.target.shard;
        let elapsed = nearest(&examples, candidate)?.scaled(candidate.bytes)?;
        let shard = shards.entry(name).or_insert_with(|| shard_of(name));
        shard.tenants += 1;
        shard.tenants_elapsed += elapsed;
        let longest: &mut Duration = longest.entry(name).or_default();
        *longest = (*longest).max(elapsed);
        if elapsed >= most {
            most = elapsed;
            slowest = Some(candidate.target.schema.as_str().to_owned());
        }
    }
    for (name, shard) in &mut shards {
        let at_once = u32::try_from(shard.at_once).unwrap_or(u32::MAX);
        let together = shard.tenants_elapsed / at_once;
        // However many are worked on at once, the longest one takes as long as it takes.
        shard.tenants_elapsed = together.max(longest.get(name).copied().unwrap_or_default());
    }
    let shards: Vec<_> = shards.into_values().collect();
    // All shared schemas come before the first tenant.
    let shared = shards.iter().map(|shard| shard.shared).max()?;
    let tenants = shards.iter().map(|shard| shard.tenants_elapsed).max()?;
    Some(Estimate {
        elapsed: shared + tenants,
        slowest,
        slowest_elapsed: most,
        shards,
        assumptions: assumptions(copies),
    })
}

fn examples<'a>(candidates: &'a [Candidate], copies: &[Rehearsed]) -> Vec<Example<'a>> {
    let passed = copies
        .iter()
        .filter(|copy| copy.scope == Scope::Tenant && copy.ended == Ended::Passed);
    passed
        .filter_map(|copy| {
            let candidate = candidates.iter().find(|candidate| {
                let target = &candidate.target;
                target.shard == copy.shard && target.schema.as_str() == copy.schema
            })?;
            let growing = copy.statements().filter(|traced| traced.grows);
            let growing: Option<Duration> = growing.map(|traced| traced.estimated).sum();
            Some(Example {
                likeness: &candidate.likeness,
                bytes: copy.bytes,
                fixed: copy
                    .estimated
                    .unwrap_or_default()
                    .saturating_sub(growing.unwrap_or_default()),
                growing,
            })
        })
        .collect()
}

impl Example<'_> {
    fn scaled(&self, bytes: u64) -> Option<Duration> {
        let growing = self.growing?;
        if self.bytes == 0 {
            return Some(self.fixed + growing);
        }
        let ratio = bytes as f64 / self.bytes as f64;
        Some(self.fixed + growing.mul_f64(ratio))
    }
}

/// The one of the nearest size, of those that share most with the candidate.
fn nearest<'e, 'a>(examples: &'e [Example<'a>], candidate: &Candidate) -> Option<&'e Example<'a>> {
    let likeness = &candidate.likeness;
    examples
        .iter()
        .filter(|example| example.likeness.cohort == likeness.cohort)
        .min_by_key(|example| {
            (
                example.likeness.shard != likeness.shard,
                example.likeness.fingerprint != likeness.fingerprint,
                example.bytes.abs_diff(candidate.bytes),
            )
        })
}

fn assumptions(copies: &[Rehearsed]) -> Vec<String> {
    let mut assumptions = vec![
        "the shards are as fast as the server with the copies, whose rows are in its memory".to_owned(),
        "nobody else has locks that would have to be waited for".to_owned(),
        "what reads, writes or indexes rows takes longer in proportion to them; the rest takes the same everywhere"
            .to_owned(),
        "light plans go one tenant at a time; in groups they are quicker".to_owned(),
    ];
    let is_partial = |copy: &Rehearsed| {
        copy.copied
            .as_ref()
            .is_some_and(|copied| !copied.partial.is_empty())
    };
    if copies.iter().any(is_partial) {
        let what = "tables of which a part was copied take as much longer as they are larger";
        assumptions.push(what.to_owned());
    }
    assumptions
}
