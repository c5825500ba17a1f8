//! Our own tables, in the schema `tenantry`: all SQL over them, one file a table.
//!
//! Every query is static text with binds, and none is waited for without an end; nobody else reads or writes these tables, but for `enter` and `leave`, which
//! `apply` and `backfill` call inside the transaction that they guard.

pub mod acks;
pub mod attempts;
pub mod cursors;
pub mod daemons;
pub mod dead;
pub mod drifted;
pub mod events;
pub mod freeze;
pub mod heads;
pub mod history;
pub mod hooks;
mod install;
pub mod notices;
pub mod overview;
pub mod pool;
pub mod retiring;
pub mod rollouts;
pub mod runs;
pub mod scripts;
pub mod starts;
pub mod statements;
pub mod structures;
pub mod sweeps;
pub mod tenants;
pub mod waves;

pub use install::{Installed, Part, install, state};

use crate::postgres::ServerError;

/// What can go wrong with our own tables.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A query failed.
    #[error("cannot {doing}: {error}")]
    Query {
        /// What we were doing.
        doing: &'static str,
        /// What the server said.
        error: ServerError,
    },
    /// The tables were made by a newer tenantry.
    #[error(
        "the schema tenantry is at {part} {installed}, this program knows only {known}: use the newer tenantry"
    )]
    Newer {
        /// `shard` or `home`.
        part: &'static str,
        /// What the database has.
        installed: i32,
        /// What this program has.
        known: i32,
    },
    /// Somebody else was installing all the time.
    #[error(
        "another session has been installing the schema tenantry for {0} s; try again, and if it stays so, end that session \
         (pg_stat_activity shows it)"
    )]
    InstallBusy(u64),
    /// A row holds what this program cannot read.
    #[error(
        "tenantry.{table} holds {value:?}, which is not {expected}: put the row back from a backup, or use the newer tenantry \
         that wrote it"
    )]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What it holds.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl StoreError {
    /// For `map_err`: names what we were doing.
    fn query(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |error| Self::Query {
            doing,
            error: ServerError::of(&error),
        }
    }
}
