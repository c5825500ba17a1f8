//! What can go wrong with a rollout as a whole.

use std::borrow::Cow;

use super::state::State;
use crate::{
    fleet::FleetError, migration::Version, store::StoreError, tenant::selector::SelectorError,
};

/// What can go wrong with a rollout as a whole. A run that failed is no error, but a part of the report.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// The databases or the files.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Our own tables.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Which tenants it is about.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// There is no such rollout.
    #[error("there is no rollout {0}; `tenantry rollout list` shows those there are")]
    Unknown(i64),
    /// None is under way, and none was named.
    #[error("no rollout is under way; name one: `tenantry rollout list` shows them")]
    NoneActive,
    /// It cannot go there.
    #[error(
        "version {0} is in no file, and a rollout goes where the files do: `tenantry plan` lists what is pending"
    )]
    NoFile(Version),
    /// No run is of a schema of that name.
    #[error(
        "{name} is in no wave of rollout {id}: it was not selected, was at the goal before, or was added since; `tenantry \
         tenant show {name}` shows where it stands"
    )]
    NotWithin {
        /// The rollout.
        id: i64,
        /// The name.
        name: String,
    },
    /// One at a time.
    #[error(
        "rollout {id} is {state}: finish it or `tenantry rollout cancel {id}` before another one is started"
    )]
    Active {
        /// The one that is under way.
        id: i64,
        /// Where it is in its life, or is about to be.
        state: &'static str,
    },
    /// What is wanted of it cannot be done in its state.
    #[error("rollout {id} is {state} and cannot {action}: {remedy}")]
    NotNow {
        /// The rollout.
        id: i64,
        /// Its state.
        state: State,
        /// What was wanted.
        action: &'static str,
        /// What can be done.
        remedy: Cow<'static, str>,
    },
    /// No wave waits for it.
    #[error("no wave of rollout {0} waits for approval")]
    NothingToApprove(i64),
    /// No migration of this version waits for a word.
    #[error(
        "no migration {0} in the files is marked `-- tenantry: phase=contract`; `tenantry release list` shows those that are"
    )]
    NoContract(Version),
    /// A row of a newer program.
    #[error(
        "rollout {id} has in its row what is not {what}: {value}; use the newer tenantry that wrote it"
    )]
    Unreadable {
        /// The rollout.
        id: i64,
        /// What it should be.
        what: &'static str,
        /// What stands there.
        value: String,
    },
}
