//! What a schema looks like: taking a snapshot of it from the catalog, hashing it, and telling two snapshots apart.
//!
//! Only reads; says nothing of rows, and of owners and privileges only where it is asked. Two schemas made by the same
//! statements have equal snapshots, whatever their names.

mod catalog;
mod detail;
mod difference;
mod error;
mod fingerprint;
mod names;
mod object;
mod snapshot;
mod unqualified;
mod unseen;
mod write;

pub use catalog::{detailed, snapshot};
pub use detail::Detail;
pub use difference::{Change, Difference, diff};
pub use error::StructureError;
pub use fingerprint::{
    Fingerprint, Limits, Looked, Structure, fingerprints, recipe, snapshot_at_once,
};
pub use object::{Kind, ObjectKey};
pub use snapshot::{Properties, Snapshot};
pub use unseen::{Unseen, unseen};
pub use write::{Statement, WriteError, write};
