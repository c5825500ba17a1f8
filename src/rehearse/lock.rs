//! PostgreSQL's locks on relations, and what the application cannot do meanwhile.

use std::fmt;

use serde::{Serialize, Serializer};

/// A lock on a relation, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "PostgreSQL's own words")]
pub enum Mode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

/// What a lock keeps others from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// Nothing that applications do.
    Nothing,
    /// Changes of the structure, and VACUUM.
    SchemaChanges,
    /// Also changes of rows.
    Writes,
    /// Everything.
    ReadsAndWrites,
}

impl Mode {
    const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// By its name in `pg_locks`.
    pub(super) fn of_catalog(name: &str) -> Option<Self> {
        let is = |mode: &&Self| format!("{mode:?}Lock") == name;
        Self::ALL.iter().find(is).copied()
    }

    /// What it keeps others from.
    pub fn blocks(self) -> Blocks {
        match self {
            Self::AccessShare | Self::RowShare | Self::RowExclusive => Blocks::Nothing,
            Self::ShareUpdateExclusive => Blocks::SchemaChanges,
            Self::Share | Self::ShareRowExclusive | Self::Exclusive => Blocks::Writes,
            Self::AccessExclusive => Blocks::ReadsAndWrites,
        }
    }

    /// Whether applications wait for it.
    pub fn is_felt(self) -> bool {
        self.blocks() >= Blocks::Writes
    }
}

/// As it stands in `LOCK TABLE`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        })
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What cannot be done meanwhile, for people.
impl fmt::Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "blocks nothing",
            Self::SchemaChanges => "blocks schema changes",
            Self::Writes => "blocks writes",
            Self::ReadsAndWrites => "blocks reads and writes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogs_names_are_known() {
        let exclusive = Mode::of_catalog("AccessExclusiveLock").unwrap();
        assert_eq!(exclusive.to_string(), "ACCESS EXCLUSIVE");
        assert_eq!(
            Mode::of_catalog("ShareRowExclusiveLock"),
            Some(Mode::ShareRowExclusive)
        );
        assert_eq!(Mode::of_catalog("SIReadLock"), None);
    }

    #[test]
    fn only_strong_locks_are_felt() {
        let felt: Vec<_> = Mode::ALL
            .into_iter()
            .filter(|mode| mode.is_felt())
            .collect();
        assert_eq!(felt.first(), Some(&Mode::Share));
        assert_eq!(felt.len(), 4);
    }
}
