//! Rehearsals: what is pending is run on copies of sample tenants, to learn its time, its locks and what it rewrites.
//!
//! Nothing of the fleet is changed: it is read in transactions that can do nothing else, and what runs, runs on copies.

mod budget;
mod build;
mod candidate;
mod conduct;
mod conductor;
mod copy;
mod error;
mod estimate;
mod keys;
mod leftover;
mod lock;
mod look;
mod place;
mod report;
mod sample;
mod scale;
mod scene;
mod size;
mod source;
mod step;
mod trace;
mod veil;
mod warn;
mod words;

pub use budget::Allowed;
pub use conduct::{Request, Thresholds, rehearse};
pub use error::RehearseError;
pub use leftover::{Leftover, leftovers};
pub use lock::{Blocks, Mode};
pub use place::Ground;
pub use report::{
    Built, Changed, Cluster, Copied, Ended, Estimate, Lock, Partial, Rehearsal, Rehearsed,
    Rewritten, Scanned, ShardEstimate, StandsFor, Traced, Transaction, Unwell, Warning,
    WarningKind,
};
pub(crate) use size::sizes_at_once;
pub use words::counted;
