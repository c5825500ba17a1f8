//! Drift of structures: which schemas look otherwise than their histories should have made them, and in what.
//!
//! Only reads the tenants' schemas, and waits for nobody who works on one. What is found is noted in the home database.

mod cluster;
mod compare;
mod group;
mod reference;
mod report;
mod sweep;

pub use compare::{compare, note};
pub use group::{Group, Groups};
pub use reference::{Basis, Earlier, Scratch, find, make};
pub use report::{Cluster, GroupReport, NotLooked, Report};
pub use sweep::{Course, Pace, sweep};

use crate::{fleet::FleetError, store::StoreError, structure::StructureError, verify::VerifyError};

/// Why nothing can be said of the fleet's structures.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// The fleet cannot be worked on.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// What histories make cannot be tried out.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A structure cannot be read.
    #[error(transparent)]
    Structure(#[from] StructureError),
}

impl From<StoreError> for DriftError {
    fn from(error: StoreError) -> Self {
        Self::Fleet(error.into())
    }
}
