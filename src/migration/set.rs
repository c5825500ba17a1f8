//! A set of migrations: all that one scope has.

use std::{fmt, sync::Arc};

use super::{Problem, Scope, Script, Version};

/// All that one scope has, in order. Made by [`read`](super::read).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationSet {
    /// Which schemas it is for.
    pub scope: Scope,
    /// By version, ascending.
    pub migrations: Vec<Arc<Migration>>,
    /// By name, ascending.
    pub repeatables: Vec<Arc<Repeatable>>,
    /// What the reader should know though nothing is wrong, such as files that are no migrations.
    pub notices: Vec<String>,
}

/// One version: an up script and perhaps a down script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: Version,
    /// The slug of its files.
    pub name: String,
    /// Forwards.
    pub up: Arc<Script>,
    /// Back; none where the up is marked irreversible, or where that is one of the problems.
    pub down: Option<Arc<Script>>,
    /// What is wrong with its content: refused where it is pending, a warning where every schema has it.
    pub problems: Vec<Problem>,
}

/// SQL that is applied again whenever its text changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The stem of its file, by which repeatables are ordered.
    pub name: String,
    /// What it does.
    pub script: Arc<Script>,
    /// What is wrong with its content: refused where it is pending, a warning where every schema has it.
    pub problems: Vec<Problem>,
}

impl MigrationSet {
    /// A set of nothing.
    pub fn empty(scope: Scope) -> Self {
        Self {
            scope,
            migrations: Vec::new(),
            repeatables: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Whether it has neither migrations nor repeatables.
    pub fn is_empty(&self) -> bool {
        self.migrations.is_empty() && self.repeatables.is_empty()
    }

    /// The migration of this version.
    pub fn get(&self, version: Version) -> Option<&Arc<Migration>> {
        let found = self
            .migrations
            .binary_search_by_key(&version, |m| m.version);
        found.ok().map(|index| &self.migrations[index])
    }

    /// The migration with the highest version.
    pub fn latest(&self) -> Option<&Arc<Migration>> {
        self.migrations.last()
    }

    /// The migrations above `version`, ascending; all of them where it is none.
    pub fn after(&self, version: Option<Version>) -> &[Arc<Migration>] {
        let start = self
            .migrations
            .partition_point(|m| Some(m.version) <= version);
        &self.migrations[start..]
    }

    /// The repeatable of this name.
    pub fn repeatable(&self, name: &str) -> Option<&Arc<Repeatable>> {
        let found = self.repeatables.binary_search_by(|r| (*r.name).cmp(name));
        found.ok().map(|index| &self.repeatables[index])
    }

    /// What is wrong with the content of any file of the set.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let migrations = self.migrations.iter().flat_map(|m| &m.problems);
        migrations.chain(self.repeatables.iter().flat_map(|r| &r.problems))
    }
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.version, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(versions: &[u64]) -> MigrationSet {
        let migration = |version: &u64| {
            Arc::new(Migration {
                version: Version::new(*version),
                name: "x".to_owned(),
                up: Arc::new(Script::parse("x.up.sql", "select 1")),
                down: None,
                problems: Vec::new(),
            })
        };
        MigrationSet {
            migrations: versions.iter().map(migration).collect(),
            ..MigrationSet::empty(Scope::Tenant)
        }
    }

    #[test]
    fn finds_migrations_by_version() {
        let set = set(&[1, 5, 9]);
        let versions = |migrations: &[Arc<Migration>]| -> Vec<_> {
            migrations.iter().map(|m| m.version.number()).collect()
        };
        assert_eq!(set.get(Version::new(5)).unwrap().to_string(), "5-x");
        assert_eq!(set.get(Version::new(6)), None);
        assert_eq!(set.latest().unwrap().version, Version::new(9));
        assert_eq!(versions(set.after(None)), [1, 5, 9]);
        assert_eq!(versions(set.after(Some(Version::new(0)))), [1, 5, 9]);
        assert_eq!(versions(set.after(Some(Version::new(5)))), [9]);
        assert_eq!(versions(set.after(Some(Version::new(9)))), [0; 0]);
    }
}
