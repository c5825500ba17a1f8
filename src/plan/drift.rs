//! Where the files and a history disagree.

use crate::{
    history::Applied,
    migration::{Checksum, MigrationSet, Version},
};

/// One disagreement between the files and a history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Drift {
    /// The file is another one than was run.
    Changed {
        /// The migration.
        version: Version,
        /// Its name.
        name: String,
        /// What was run.
        applied: Checksum,
        /// What the file holds.
        file: Checksum,
    },
    /// The migration was run and its file is gone.
    Missing {
        /// The migration.
        version: Version,
        /// Its name.
        name: String,
    },
    /// The migration is not applied, but a later one is.
    Late {
        /// The migration.
        version: Version,
        /// Its name.
        name: String,
    },
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed { version, name, .. } => write!(
                f,
                "{version} {name}: the file was changed after it was applied"
            ),
            Self::Missing { version, name } => {
                write!(f, "{version} {name}: applied, but its file is gone")
            }
            Self::Late { version, name } => write!(
                f,
                "{version} {name}: pending, but a later version is applied"
            ),
        }
    }
}

/// All disagreements, by version.
pub fn drift(set: &MigrationSet, applied: &[Applied]) -> Vec<Drift> {
    let mut found = Vec::new();
    for entry in applied {
        let name = entry.name.clone();
        match set.get(entry.version) {
            None => found.push(Drift::Missing {
                version: entry.version,
                name,
            }),
            Some(migration) => {
                let down = migration.down.as_ref().map(|down| down.checksum);
                let texts = [
                    (Some(entry.up), Some(migration.up.checksum)),
                    (entry.down, down),
                ];
                if let Some((then, now)) = texts
                    .into_iter()
                    .find_map(|(then, now)| Some((then?, now?)).filter(|(a, b)| a != b))
                {
                    found.push(Drift::Changed {
                        version: entry.version,
                        name,
                        applied: then,
                        file: now,
                    });
                }
            }
        }
    }
    let head = applied.last().map(|entry| entry.version);
    let late = set
        .migrations
        .iter()
        .filter(|m| Some(m.version) < head && applied.iter().all(|a| a.version != m.version));
    found.extend(late.map(|m| Drift::Late {
        version: m.version,
        name: m.name.clone(),
    }));
    found
}
