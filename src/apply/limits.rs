//! How long a schema's transaction may wait and run, and how often it is tried.

use std::time::Duration;

use crate::{postgres::Watch, sql::Ident};

/// What is the same for every target of a run.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a statement may wait for a lock; a script's directive goes before it.
    pub lock_timeout: Duration,
    /// How long a statement may run; a script's directive goes before it.
    pub statement_timeout: Duration,
    /// How much longer than its statements may run a message may take, before its connection counts as dead.
    pub grace: Duration,
    /// How often a transaction that met a lock is tried in all.
    pub lock_tries: usize,
    /// How long a schema on which somebody else is at work is tried again.
    pub busy_wait: Duration,
    /// Further schemas on the search path, such as one that holds extensions.
    pub extra_search_path: Vec<Ident>,
    /// Schemas beside its own in which a tenant's script may change something.
    pub also_writes: Vec<Ident>,
    /// How long a transaction of several targets should take, and wait for a lock at most; zero for none of these.
    pub group_time: Duration,
    /// How many locks one transaction may take, by estimate; a plan that needs more is cut.
    pub locks: u32,
    /// How many relations a connection may touch before a new one takes its place.
    pub relations: u64,
    /// Who the history says did it.
    pub who: String,
}

/// So many statements of one message, at most, take as long as they may: the others read our own tables.
const LONG_STATEMENTS: u32 = 4;

impl Limits {
    /// How to wait for a message of a few statements, all of which are limited by these.
    pub fn watch(&self) -> Watch {
        let statement = self.statement_timeout.saturating_add(self.lock_timeout);
        Watch {
            unseen: statement
                .saturating_mul(LONG_STATEMENTS)
                .saturating_add(self.grace),
            ..Watch::default()
        }
    }
}
