//! Which tenants are rehearsed: of those that are alike, some of each size, and always the largest.

use std::collections::BTreeMap;

use crate::{
    history::Head,
    tenant::{ShardName, Target},
};

/// A tenant for which something is pending.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) target: Target,
    pub(super) head: Head,
    /// Whom it is like.
    pub(super) likeness: Likeness,
    /// How large it is.
    pub(super) bytes: u64,
}

/// What tenants have in common for which one speaks for the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Likeness {
    /// They share a plan: the cohort's number.
    pub(super) cohort: usize,
    /// They share a server.
    pub(super) shard: ShardName,
    /// They share a structure, where fingerprints are known.
    pub(super) fingerprint: Option<[u8; 32]>,
}

/// The largest of each of `parts` equal parts of those that are alike, in order of size: with ten, of each decile.
pub(super) fn sample(candidates: &[Candidate], parts: usize) -> Vec<&Candidate> {
    let mut alike: BTreeMap<&Likeness, Vec<&Candidate>> = BTreeMap::new();
    for candidate in candidates {
        alike
            .entry(&candidate.likeness)
            .or_default()
            .push(candidate);
    }
    let mut sample = Vec::new();
    for mut group in alike.into_values() {
        group.sort_by_key(|candidate| (candidate.bytes, candidate.target.clone()));
        let mut ends: Vec<_> = (1..=parts)
            .map(|part| (group.len() * part).div_ceil(parts) - 1)
            .collect();
        ends.dedup();
        sample.extend(ends.into_iter().map(|end| group[end]));
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Ident;

    fn candidate(cohort: usize, shard: &str, bytes: u64) -> Candidate {
        let shard = ShardName::new(shard);
        Candidate {
            target: Target {
                shard: shard.clone(),
                schema: Ident::new(format!("t{bytes}")).unwrap(),
            },
            head: Head::default(),
            likeness: Likeness {
                cohort,
                shard,
                fingerprint: None,
            },
            bytes,
        }
    }

    fn sizes(candidates: &[Candidate], parts: usize) -> Vec<u64> {
        let sample = sample(candidates, parts);
        sample.iter().map(|candidate| candidate.bytes).collect()
    }

    #[test]
    fn the_largest_of_each_decile_and_so_the_largest_of_all() {
        let hundred: Vec<_> = (1..=100).rev().map(|n| candidate(0, "a", n)).collect();
        let deciles = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
        assert_eq!(sizes(&hundred, 10), deciles);
        assert_eq!(sizes(&hundred, 1), [100]);
        assert_eq!(sizes(&hundred[98..], 10), [1, 2]);
    }

    #[test]
    fn nobody_speaks_for_another_cohort_or_shard() {
        let mut odd = candidate(0, "a", 5);
        odd.likeness.fingerprint = Some([1; 32]);
        let all = [
            candidate(0, "a", 1),
            candidate(0, "a", 2),
            candidate(0, "b", 3),
            candidate(1, "a", 4),
            odd,
        ];
        assert_eq!(sizes(&all, 1), [2, 5, 3, 4]);
    }
}
