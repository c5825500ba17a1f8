//! What was found, as data.

use crate::{
    migration::{Scope, Version},
    structure::{Difference, Kind},
    tenant::Target,
};

/// What was found in the fleet.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The shared schemas first, then the tenants, those at the newest version first.
    pub groups: Vec<GroupReport>,
    /// What could not be compared.
    pub not_looked: Vec<NotLooked>,
}

/// A schema that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLooked {
    /// Which.
    pub target: Target,
    /// Whether it is a tenant's.
    pub scope: Scope,
    /// What was in the way.
    pub why: String,
}

/// Schemas that should look the same.
#[derive(Debug, Clone)]
pub struct GroupReport {
    /// Whose set they are of.
    pub scope: Scope,
    /// Where they stand.
    pub version: Option<Version>,
    /// The name of that migration.
    pub name: Option<String>,
    /// The major version of the PostgreSQL that they are on.
    pub postgres: i32,
    /// Whether they were compared with what most of them have, for want of what their history makes.
    pub by_majority: bool,
    /// Why that was, where nobody asked for it.
    pub why: Option<String>,
    /// Those that are as they should be.
    pub same: Vec<Target>,
    /// Those that are not, together with those that look like them; the largest first.
    pub odd: Vec<Cluster>,
}

/// Schemas that look the same, and otherwise than they should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Which.
    pub targets: Vec<Target>,
    /// What they look like, as a hash.
    pub fingerprint: [u8; 32],
    /// The kinds of objects in which the hashes differ.
    pub kinds: Vec<Kind>,
    /// From what should be to what is; none where that was not looked at.
    pub differences: Option<Vec<Difference>>,
}

impl Report {
    /// So many odd clusters of a group are looked at exactly; of the others is told in which kinds of objects they differ.
    pub const EXACT: usize = 100;

    /// How many schemas are not as they should be.
    pub fn drifted(&self) -> usize {
        self.groups.iter().map(GroupReport::drifted).sum()
    }
}

impl GroupReport {
    /// How many are not as they should be.
    pub fn drifted(&self) -> usize {
        self.odd.iter().map(|cluster| cluster.targets.len()).sum()
    }

    /// How many odd clusters were not looked at exactly: of those is known in which kinds of objects they differ, no more.
    pub fn told_by_kind(&self) -> usize {
        let by_kind = |cluster: &&Cluster| cluster.differences.is_none();
        self.odd.iter().filter(by_kind).count()
    }

    /// How many were looked at.
    pub fn count(&self) -> usize {
        self.same.len() + self.drifted()
    }

    /// `history` or `majority`.
    pub fn reference(&self) -> &'static str {
        match self.by_majority {
            true => "majority",
            false => "history",
        }
    }
}

impl Cluster {
    /// What differs, in words, each on one line.
    pub fn words(&self) -> Vec<String> {
        match &self.differences {
            Some(differences) => {
                let words = differences.iter().map(|difference| difference.to_string());
                words.map(|words| words.replace('\n', " ")).collect()
            }
            None => {
                let kinds: Vec<_> = self.kinds.iter().map(ToString::to_string).collect();
                vec![format!("differs in objects of kind {}", kinds.join(", "))]
            }
        }
    }
}
