//! Migrations: versions, scripts, directives, the sets they make and what is wrong with them.
//!
//! Reads files and nothing else; whether something is pending is for `plan` to say.

mod check;
mod checksum;
pub mod code;
pub mod create;
mod directives;
pub mod format;
mod listing;
mod problem;
mod read;
mod script;
mod set;
mod text;
mod version;

pub use checksum::Checksum;
pub use code::{CODES, Code};
pub use directives::Directives;
pub use problem::{Excerpt, Problem, Problems, Severity};
pub use read::{read, read_embedded};
pub use script::Script;
pub use set::{Migration, MigrationSet, Repeatable};
pub use version::{InvalidVersion, Version};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which schemas a set of migrations is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The schema that all tenants share, on every shard.
    Shared,
    /// Each tenant's own schema.
    Tenant,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Shared => "shared",
            Self::Tenant => "tenant",
        })
    }
}

/// Which way a migration is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Forwards.
    Up,
    /// Back.
    Down,
}

impl Direction {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
