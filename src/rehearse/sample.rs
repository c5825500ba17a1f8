//! Which tenants are rehearsed: of those that share a plan and a shard one of each structure, then some of each size.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Cluster, candidate::Candidate};
use crate::migration::Checksum;

/// A tenant that is rehearsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled<'a> {
    pub(super) candidate: &'a Candidate,
    /// For how many it stands, itself among them: those of its structure that are no larger than it, and larger than the
    /// sample before.
    pub(super) tenants: usize,
}

/// At most `parts` of those that share a plan and a shard: one of each structure, those that most have first, and always the
/// largest of all. Where there are fewer structures than `parts`, those with most tenants have more than one: the largest of
/// each of so many equal parts, in order of size; with ten and one structure, of each decile.
pub(super) fn sample(candidates: &[Candidate], parts: usize) -> Vec<Sampled<'_>> {
    let mut alike: BTreeMap<_, BTreeMap<_, Vec<&Candidate>>> = BTreeMap::new();
    for candidate in candidates {
        let likeness = &candidate.likeness;
        alike
            .entry((likeness.cohort, &likeness.shard))
            .or_default()
            .entry(likeness.fingerprint)
            .or_default()
            .push(candidate);
    }
    let mut sample = Vec::new();
    for group in alike.into_values() {
        let clusters = chosen(group.into_values().collect(), parts);
        let shares = shares(&clusters, parts);
        for (cluster, share) in clusters.iter().zip(shares) {
            let mut before = 0;
            for part in 1..=share {
                let end = (cluster.len() * part).div_ceil(share);
                sample.push(Sampled {
                    candidate: cluster[end - 1],
                    tenants: end - before,
                });
                before = end;
            }
        }
    }
    sample
}

/// The clusters that have samples, the largest first; each in order of size.
fn chosen(mut clusters: Vec<Vec<&Candidate>>, most: usize) -> Vec<Vec<&Candidate>> {
    for cluster in &mut clusters {
        cluster.sort_by_key(|candidate| (candidate.bytes, &candidate.target));
    }
    let bytes = |cluster: &[&Candidate]| cluster.last().map(|largest| largest.bytes);
    // Of two that are as large, the one with the larger tenant: whatever the hashes are, it is the same one each time.
    clusters.sort_by_key(|cluster| {
        let first = cluster.iter().map(|candidate| &candidate.target).min();
        (Reverse((cluster.len(), bytes(cluster))), first)
    });
    let largest = (0..clusters.len()).rev();
    let largest = largest.max_by_key(|&at| bytes(&clusters[at]));
    if let Some(largest) = largest.filter(|&at| most > 0 && at >= most) {
        clusters.swap(most - 1, largest);
    }
    clusters.truncate(most);
    clusters
}

/// How many samples each cluster has, none more than tenants: one, and then one more wherever one stands for most.
fn shares(clusters: &[Vec<&Candidate>], parts: usize) -> Vec<usize> {
    let mut shares = vec![1; clusters.len()];
    let all: usize = clusters.iter().map(Vec::len).sum();
    for _ in clusters.len()..parts.min(all) {
        let free = (0..clusters.len()).filter(|&at| shares[at] < clusters[at].len());
        // Of several the first.
        let most = free
            .rev()
            .max_by_key(|&at| clusters[at].len().div_ceil(shares[at]));
        if let Some(at) = most {
            shares[at] += 1;
        }
    }
    shares
}

/// All structures that there are, those that most have first; last those that could not be looked at.
pub(super) fn clusters(candidates: &[Candidate], sample: &[Sampled<'_>]) -> Vec<Cluster> {
    let mut tenants: BTreeMap<Option<[u8; 32]>, usize> = BTreeMap::new();
    for candidate in candidates {
        *tenants.entry(candidate.likeness.fingerprint).or_default() += 1;
    }
    let mut clusters: Vec<_> = tenants.into_iter().collect();
    clusters.sort_by_key(|(fingerprint, tenants)| (fingerprint.is_none(), Reverse(*tenants)));
    let numbered = clusters.into_iter().enumerate();
    let cluster = |(index, (fingerprint, tenants)): (usize, (Option<[u8; 32]>, usize))| {
        let of = sample.iter().map(|s| &s.candidate.likeness.fingerprint);
        Cluster {
            number: index + 1,
            fingerprint: fingerprint.map(Checksum::from),
            tenants,
            copies: of.filter(|of| **of == fingerprint).count(),
        }
    };
    numbered.map(cluster).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::Head,
        rehearse::candidate::Likeness,
        sql::Ident,
        tenant::{ShardName, Target},
    };

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

    /// So many tenants with this structure, of these sizes.
    fn alike(structure: u8, sizes: impl IntoIterator<Item = u64>) -> Vec<Candidate> {
        let candidates = sizes.into_iter().map(|bytes| candidate(0, "a", bytes));
        let looked = candidates.map(|mut candidate| {
            candidate.likeness.fingerprint = Some([structure; 32]);
            candidate
        });
        looked.collect()
    }

    fn sizes(candidates: &[Candidate], parts: usize) -> Vec<u64> {
        let sample = sample(candidates, parts);
        sample.iter().map(|s| s.candidate.bytes).collect()
    }

    #[test]
    fn the_largest_of_each_decile_and_so_the_largest_of_all() {
        let hundred: Vec<_> = (1..=100).rev().map(|n| candidate(0, "a", n)).collect();
        let deciles = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
        assert_eq!(sizes(&hundred, 10), deciles);
        assert_eq!(sizes(&hundred, 1), [100]);
        assert_eq!(sizes(&hundred[98..], 10), [1, 2]);
        assert_eq!(sizes(&hundred, 0), [0; 0]);
    }

    #[test]
    fn nobody_speaks_for_another_cohort_shard_or_structure() {
        let mut all = vec![
            candidate(0, "a", 1),
            candidate(0, "a", 2),
            candidate(0, "b", 3),
            candidate(1, "a", 4),
        ];
        all.extend(alike(1, [5]));
        assert_eq!(sizes(&all, 2), [2, 5, 3, 4]);
        let sample = sample(&all, 2);
        let tenants: Vec<_> = sample.iter().map(|s| s.tenants).collect();
        assert_eq!(tenants, [2, 1, 1, 1]);
    }

    #[test]
    fn each_structure_has_a_sample_and_the_rest_goes_where_most_tenants_are() {
        let mut all = alike(1, [7]);
        all.extend(alike(2, 11..=100));
        all.extend(alike(3, [8, 9]));
        assert_eq!(sizes(&all, 3), [100, 9, 7]);
        assert_eq!(sizes(&all, 5), [40, 70, 100, 9, 7]);
        let sample = sample(&all, 5);
        let tenants: Vec<_> = sample.iter().map(|s| s.tenants).collect();
        assert_eq!(tenants, [30, 30, 30, 2, 1]);
        let clusters = clusters(&all, &sample);
        let told: Vec<_> = clusters
            .iter()
            .map(|c| (c.number, c.tenants, c.copies))
            .collect();
        assert_eq!(told, [(1, 90, 3), (2, 2, 1), (3, 1, 1)]);
        assert_eq!(sizes(&all, 1_000).len(), all.len());
    }

    #[test]
    fn with_more_structures_than_samples_those_that_most_have_come_first_beside_the_largest_of_all()
    {
        let mut all = alike(1, [1, 2, 3]);
        all.extend(alike(2, [4, 5]));
        all.extend(alike(3, [6]));
        all.extend(alike(4, [99]));
        assert_eq!(sizes(&all, 3), [3, 5, 99]);
        assert_eq!(sizes(&all, 1), [99]);
    }
}
