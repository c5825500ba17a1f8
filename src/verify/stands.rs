//! What a schema looks like at each version, kept as what changes from one to the next: a set may have hundreds of versions,
//! and a schema thousands of objects.

use std::collections::BTreeMap;

use crate::{
    migration::Version,
    structure::{ObjectKey, Properties, Snapshot},
};

/// What a schema looks like at each version, and before all of them.
#[derive(Default)]
pub(super) struct Stands {
    /// One for each range of versions, in order.
    ranges: Vec<Range>,
}

struct Range {
    from: Option<Version>,
    first: Snapshot,
    changes: Vec<(Version, Changes)>,
}

/// What a version has otherwise than the one before it; none for what it has no more.
type Changes = Vec<(ObjectKey, Option<Properties>)>;

impl Stands {
    /// Begins with what is there at `from`.
    pub(super) fn new(from: Option<Version>, first: Snapshot) -> Self {
        let changes = Vec::new();
        Self {
            ranges: vec![Range {
                from,
                first,
                changes,
            }],
        }
    }

    /// The next version, which made `after` of `before`.
    pub(super) fn add(&mut self, version: Version, before: &Snapshot, after: &Snapshot) {
        let Some(range) = self.ranges.last_mut() else {
            return;
        };
        let changed = after
            .objects()
            .filter(|(object, properties)| before.get(object) != Some(*properties))
            .map(|(object, properties)| (object.clone(), Some(properties.clone())));
        let gone = before
            .objects()
            .filter(|(object, _)| after.get(object).is_none())
            .map(|(object, _)| (object.clone(), None));
        range.changes.push((version, changed.chain(gone).collect()));
    }

    /// Adds those of later versions. What both know, stays as it is here.
    pub(super) fn extend(&mut self, later: Self) {
        self.ranges.extend(later.ranges);
    }

    /// What the schema looks like at a version.
    pub(super) fn at(&self, version: Option<Version>) -> Option<Snapshot> {
        self.ranges.iter().find_map(|range| range.at(version))
    }
}

impl Range {
    fn at(&self, version: Option<Version>) -> Option<Snapshot> {
        let count = if version == self.from {
            0
        } else {
            let mut changes = self.changes.iter();
            changes.position(|(step, _)| Some(*step) == version)? + 1
        };
        let objects = self.first.objects();
        let mut objects: BTreeMap<_, _> = objects.map(|(o, p)| (o.clone(), p.clone())).collect();
        for (object, properties) in self.changes[..count]
            .iter()
            .flat_map(|(_, changes)| changes)
        {
            match properties {
                Some(properties) => objects.insert(object.clone(), properties.clone()),
                None => objects.remove(object),
            };
        }
        Some(objects.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::Kind;

    fn snapshot(tables: &[(&str, &str)]) -> Snapshot {
        let tables = tables.iter().map(|(name, comment)| {
            let key = ObjectKey {
                kind: Kind::Table,
                table: None,
                name: (*name).to_owned(),
            };
            let properties = [("comment".to_owned(), (*comment).to_owned())];
            (key, Properties::from(properties))
        });
        tables.collect()
    }

    #[test]
    fn each_version_is_what_was_put_in() {
        let all = [
            snapshot(&[]),
            snapshot(&[("a", ""), ("b", "")]),
            snapshot(&[("a", "x")]),
            snapshot(&[("a", "x"), ("c", "")]),
        ];
        let mut stands = Stands::new(None, all[0].clone());
        stands.add(Version::new(1), &all[0], &all[1]);
        stands.add(Version::new(2), &all[1], &all[2]);
        let mut later = Stands::new(Some(Version::new(2)), all[1].clone());
        later.add(Version::new(3), &all[2], &all[3]);
        later.ranges[0].first = all[2].clone();
        stands.extend(later);
        assert_eq!(stands.at(None), Some(all[0].clone()));
        for version in [1_u8, 2, 3] {
            let at = stands.at(Some(Version::new(version.into())));
            assert_eq!(at.as_ref(), all.get(usize::from(version)));
        }
        assert_eq!(stands.at(Some(Version::new(4))), None);
    }
}
