//! Schemas of one group by what they look like: from fingerprints alone.

use std::collections::BTreeMap;

use crate::{
    structure::{Fingerprint, Looked},
    tenant::Target,
};

/// Schemas with the same fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) fingerprint: Fingerprint,
    pub(super) targets: Vec<Target>,
}

/// Sorts schemas by fingerprint, the largest cluster first; and those that could not be looked at, with the reason.
pub(super) fn cluster(
    looked: impl IntoIterator<Item = (Target, Looked)>,
) -> (Vec<Alike>, Vec<(Target, String)>) {
    let (mut alike, mut not): (BTreeMap<[u8; 32], Alike>, _) = (BTreeMap::new(), Vec::new());
    for (target, looked) in looked {
        match looked {
            Ok(fingerprint) => alike
                .entry(fingerprint.digest())
                .or_insert_with(|| Alike {
                    fingerprint,
                    targets: Vec::new(),
                })
                .targets
                .push(target),
            Err(why) => not.push((target, why)),
        }
    }
    let mut clusters: Vec<_> = alike.into_values().collect();
    // Of two that are as large, the one with the first name, whatever the hashes are.
    clusters.sort_by(|a, b| {
        let size = b.targets.len().cmp(&a.targets.len());
        size.then_with(|| a.targets.cmp(&b.targets))
    });
    (clusters, not)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sql::Ident, tenant::ShardName};

    fn target(name: &str) -> Target {
        Target {
            shard: ShardName::new("main"),
            schema: Ident::new(name).unwrap(),
        }
    }

    #[test]
    fn the_largest_cluster_comes_first() {
        let empty = Fingerprint::default();
        let other: Fingerprint =
            serde_json::from_str(r#"{"kinds": {"table": "1"}, "objects": 1}"#).unwrap();
        let looked = [
            (target("a"), Ok(other.clone())),
            (target("b"), Ok(empty.clone())),
            (target("c"), Ok(empty.clone())),
            (target("d"), Err("it is locked".to_owned())),
        ];
        let (clusters, not) = cluster(looked);
        let sizes: Vec<_> = clusters
            .iter()
            .map(|c| (&c.fingerprint, c.targets.len()))
            .collect();
        assert_eq!(sizes, [(&empty, 2), (&other, 1)]);
        assert_eq!(not, [(target("d"), "it is locked".to_owned())]);
    }
}
