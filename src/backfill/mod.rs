//! Backfills: large changes of data in small batches, tenant by tenant.
//!
//! A batch and its cursor are committed together, so every row is changed by exactly one committed batch, whatever is cut
//! off when. Nothing here waits while a transaction is open.

mod batch;
mod definition;
mod files;
mod header;
mod key;
mod progress;
mod report;
mod run;
mod worker;

pub use definition::{Definition, DefinitionError, Pace, Wrong};
pub use files::{find, names};
pub use progress::progress;
pub use report::{Ended, Report, Run};
pub use run::{Observer, Request, run};

use std::path::PathBuf;

use crate::fleet::FleetError;

/// Why a backfill cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// No file has that name.
    #[error("there is no backfill {name}; there are: {}", or_none(known))]
    Unknown {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// More than one file has.
    #[error("several files have that name: {}", paths(.0))]
    Twice(Vec<PathBuf>),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no backfill.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// It is another one than the one that was begun.
    #[error(
        "the backfill {name} was changed since it was begun in {tenants} tenants: put its statement, table and key back, \
         give the new one another name, or begin again from the first row with `tenantry backfill start {name} --restart`"
    )]
    Changed {
        /// Its name.
        name: String,
        /// In how many tenants it was begun.
        tenants: usize,
    },
    /// The databases.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        "none, they are files NAME.sql in backfills/ beside the tenants' migrations".to_owned()
    } else {
        names.join(", ")
    }
}

fn paths(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}
