//! A set of migrations: all that one scope has.

use std::sync::Arc;

use super::{Scope, Script, Version};

/// One version: an up script and perhaps a down script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: Version,
    /// The slug of its files.
    pub name: String,
    /// Forwards.
    pub up: Arc<Script>,
    /// Back; none where the up is marked irreversible.
    pub down: Option<Arc<Script>>,
}

/// SQL that is applied again whenever its text changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The stem of its file, by which repeatables are ordered.
    pub name: String,
    /// What it does.
    pub script: Arc<Script>,
}

/// All that one scope has, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationSet {
    /// Which schemas it is for.
    pub scope: Scope,
    /// By version, ascending.
    pub migrations: Vec<Arc<Migration>>,
    /// By name, ascending.
    pub repeatables: Vec<Arc<Repeatable>>,
}
