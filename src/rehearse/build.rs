//! A structure in two parts: what rows are put into, and all that is told of them once they are there.
//!
//! Constraints, indexes and triggers come after the rows: then nothing fires, and the order of the tables does not matter.

use std::collections::BTreeSet;

use super::{RehearseError, source::Key};
use crate::structure::{Kind, ObjectKey, Snapshot, Statement, write};

/// The statements that make a structure.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Before the rows.
    pub(super) early: Vec<Statement>,
    /// After them.
    pub(super) late: Vec<Statement>,
}

/// What a table is by its family or by who may see its rows is said once it has them; but one that has columns from its parents
/// alone is made of them.
const LATE: [&str; 5] = [
    "parents",
    "partition bound",
    "of type",
    "row security",
    "forced row security",
];

/// The statements for a structure.
pub(super) fn parts(snapshot: &Snapshot) -> Result<Parts, RehearseError> {
    let heirs: BTreeSet<_> = snapshot
        .objects()
        .filter(|(key, of)| key.kind == Kind::Column && of.contains_key("inherited"))
        .filter_map(|(key, _)| key.table.as_deref())
        .collect();
    let is_late = |key: &ObjectKey, property: &str| {
        let is_born = property == "parents" && heirs.contains(key.name.as_str());
        LATE.contains(&property) && !is_born
    };
    let early: Snapshot = snapshot
        .objects()
        .filter(|(key, _)| comes_early(key.kind))
        .map(|(key, properties)| {
            let mut properties = properties.clone();
            properties.retain(|property, _| !is_late(key, property));
            (key.clone(), properties)
        })
        .collect();
    let early = write(&early)?;
    let mut late = write(snapshot)?;
    for statement in &early {
        if let Some(at) = late.iter().position(|other| other == statement) {
            late.remove(at);
        }
    }
    Ok(Parts { early, late })
}

/// The same without some foreign keys, and without extensions, of which a database has but one each.
pub(super) fn without(snapshot: &Snapshot, keys: &[&Key]) -> Snapshot {
    let is_left_out = |kind: Kind, table: Option<&str>, name: &str| {
        let is = |key: &&Key| key.name == name && table == Some(key.child.as_str());
        kind == Kind::Extension || kind == Kind::Constraint && keys.iter().any(is)
    };
    snapshot
        .objects()
        .filter(|(key, _)| !is_left_out(key.kind, key.table.as_deref(), &key.name))
        .map(|(key, properties)| (key.clone(), properties.clone()))
        .collect()
}

fn comes_early(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::View
            | Kind::MaterializedView
            | Kind::Constraint
            | Kind::Index
            | Kind::Statistics
            | Kind::Trigger
            | Kind::Rule
            | Kind::Policy
    )
}
