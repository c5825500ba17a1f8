//! A schema's structure as a value: compared, hashed, written as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Detail, Kind, ObjectKey};

/// What is known of one object, by words a person understands: `default`, `not null`, `definition`.
pub type Properties = BTreeMap<String, String>;

/// Everything in one schema, free of the schema's name, of object ids and of the gaps that dropped columns leave.
///
/// Two major versions of PostgreSQL may write the same definition differently: compare only within one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Object>", from = "Vec<Object>")]
pub struct Snapshot {
    pub(super) objects: BTreeMap<ObjectKey, Properties>,
}

/// One object as it stands in the JSON form, whose keys can only be texts.
#[derive(Serialize, Deserialize)]
struct Object {
    object: ObjectKey,
    properties: Properties,
}

impl Snapshot {
    /// The objects and what is known of them, in a fixed order.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Properties)> {
        self.objects.iter()
    }

    /// What is known of one object.
    pub fn get(&self, object: &ObjectKey) -> Option<&Properties> {
        self.objects.get(object)
    }

    /// Whether the schema holds nothing.
    pub fn is_empty(&self) -> bool {
        self.objects
            .keys()
            .all(|object| object.kind == Kind::Schema)
    }

    /// The same with no more detail than this: for comparing with one that has not been taken with more.
    pub fn reduced(mut self, detail: Detail) -> Self {
        self.objects
            .retain(|object, properties| detail.knows(object, properties));
        for (object, properties) in &mut self.objects {
            let of_schema = object.kind == Kind::Schema;
            properties.retain(|property, _| detail.tells(property, of_schema));
        }
        self
    }

    /// SHA-256 of the whole: equal for equal snapshots, different for others. The order of columns counts; to have it not
    /// count, take that of [`reduced`](Self::reduced) to [`Detail::LOGICAL`].
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (object, properties) in &self.objects {
            text(&mut hash, &object.kind.to_string());
            text(&mut hash, object.table.as_deref().unwrap_or_default());
            text(&mut hash, &object.name);
            length(&mut hash, properties.len());
            for (property, value) in properties {
                text(&mut hash, property);
                text(&mut hash, value);
            }
        }
        hash.finalize().into()
    }
}

/// Every text is preceded by its length, so that no two snapshots feed the hash the same bytes.
fn text(hash: &mut Sha256, text: &str) {
    length(hash, text.len());
    hash.update(text);
}

fn length(hash: &mut Sha256, length: usize) {
    hash.update((length as u64).to_be_bytes());
}

impl FromIterator<(ObjectKey, Properties)> for Snapshot {
    fn from_iter<I: IntoIterator<Item = (ObjectKey, Properties)>>(objects: I) -> Self {
        Self {
            objects: objects.into_iter().collect(),
        }
    }
}

impl From<Snapshot> for Vec<Object> {
    fn from(snapshot: Snapshot) -> Self {
        snapshot
            .objects
            .into_iter()
            .map(|(object, properties)| Object { object, properties })
            .collect()
    }
}

impl From<Vec<Object>> for Snapshot {
    fn from(objects: Vec<Object>) -> Self {
        objects
            .into_iter()
            .map(|Object { object, properties }| (object, properties))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, properties: &[(&str, &str)]) -> Snapshot {
        let key = ObjectKey {
            kind: Kind::Table,
            table: None,
            name: name.into(),
        };
        let properties = properties
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        [(key, properties)].into_iter().collect()
    }

    #[test]
    fn the_fingerprint_knows_where_a_text_ends() {
        let snapshots = [
            one("a", &[("b", "c")]),
            one("a", &[("bc", "")]),
            one("ab", &[("c", "")]),
            one("a", &[]),
            one("a", &[("b", "c"), ("d", "")]),
        ];
        for (i, left) in snapshots.iter().enumerate() {
            for (j, right) in snapshots.iter().enumerate() {
                assert_eq!(
                    left.fingerprint() == right.fingerprint(),
                    i == j,
                    "{left:?} {right:?}"
                );
            }
        }
    }

    #[test]
    fn survives_json() {
        let snapshot = one("orders", &[("kind", "table")]);
        let json = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(
            json,
            r#"[{"object":{"kind":"table","name":"orders"},"properties":{"kind":"table"}}]"#
        );
        assert_eq!(serde_json::from_str::<Snapshot>(&json).unwrap(), snapshot);
    }
}
