//! Makes, takes over and takes away the schemas of tenants.

mod add;
mod each;
mod goal;
mod guarded;
mod import;
mod placement;
mod pool;
mod rename;
mod retire;
mod schema;
mod shard;
mod shared;
mod structure;
mod suspend;

pub use add::{Added, add, resume};
pub use each::{Each, each};
pub use import::{Imported, import, import_shared};
pub use placement::{Because, FULL, Placement, place};
pub use pool::{Kept, drain, keep, stands};
pub use rename::rename;
pub use retire::{retire, retire_later};
pub use schema::shared_schema;
pub use shard::choose_shard;
pub use structure::By;
pub use suspend::{suspend, unsuspend};

use crate::{
    apply::Failure,
    fleet::FleetError,
    plan::Refusal,
    sql::Ident,
    tenant::{ShardName, TenantState},
};

/// Why a tenant cannot be made, taken over or taken away.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The databases or the files.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The name is registered.
    #[error("tenant {0} is registered already; `tenantry tenant show` tells where it stands")]
    Taken(String),
    /// Nobody of that name is registered.
    #[error("no tenant {0} is registered; `tenantry tenant list` names them all")]
    Unknown(String),
    /// A schema of that name is there, and not ours.
    #[error(
        "the schema {schema} exists on shard {shard} already; `tenantry tenant import {schema}` takes it over"
    )]
    SchemaExists {
        /// Its name.
        schema: String,
        /// Where.
        shard: ShardName,
    },
    /// There is nothing to take over.
    #[error(
        "there is no schema {schema} on shard {shard}; `tenantry tenant add {schema}` makes one"
    )]
    NoSchema {
        /// Its name.
        schema: String,
        /// Where.
        shard: ShardName,
    },
    /// The schema of that name is not the one that the history is of.
    #[error(
        "the schema {schema} is not the one that was made for the tenant; `tenantry tenant import {schema}` takes it as it is"
    )]
    MadeAnew {
        /// Its name.
        schema: String,
    },
    /// The schema of a tenant is not there.
    #[error("the schema {schema} is not there; `tenantry repair` says what to do about that")]
    Absent {
        /// Its name.
        schema: String,
    },
    /// The schema has another name now.
    #[error(
        "the schema {schema} was renamed to {now}; rename it back (`alter schema`), then try again"
    )]
    Renamed {
        /// The name that the history knows.
        schema: String,
        /// The name that it has.
        now: String,
    },
    /// It is about to have another name than the one that was asked for.
    #[error(
        "tenant {name} is being renamed to {to}: finish that first, with `tenantry tenant rename {name} {to}`"
    )]
    BeingRenamed {
        /// Its name.
        name: String,
        /// The name that it is about to have.
        to: String,
    },
    /// The schema is the one that another head has pinned.
    #[error(
        "the schema {schema} is the one whose history is that of {pinned_as}: it was renamed, so rename it back; or, when \
         the database was restored without {pinned_as}, `create schema {pinned_as}` and import once more"
    )]
    Anothers {
        /// The name that it has.
        schema: String,
        /// The name that the history knows.
        pinned_as: String,
    },
    /// The name is the shared schema's.
    #[error("{0} cannot name a tenant: it is the shared schema")]
    SharedName(String),
    /// Tenants depend on the shared schema, which is not there yet.
    #[error(
        "the shared schema {schema} of shard {shard} {missing}, and tenants depend on it; `tenantry up --scope shared` first"
    )]
    SharedBehind {
        /// The shared schema.
        schema: Ident,
        /// Where.
        shard: ShardName,
        /// What it lacks.
        missing: String,
    },
    /// It is in another state than it would have to be.
    #[error("tenant {name} is {state}: {}", way_out(.name, *.state))]
    State {
        /// Its name.
        name: String,
        /// What it is.
        state: TenantState,
    },
    /// Somebody else is at work on it.
    #[error("another session is at work on the schema {0}; try again when it is done")]
    Busy(String),
    /// An application holds a lock on it.
    #[error(
        "an application is using the schema {0} and did not let go of it within the lock timeout; `tenantry blockers` \
         names who is at it; end that, then try again"
    )]
    InUse(String),
    /// Things of other schemas would be dropped as well.
    #[error(
        "other schemas need something of the schema {schema}: {by}; drop or change that first, then try again"
    )]
    Needed {
        /// Its name.
        schema: String,
        /// Them, as PostgreSQL names them.
        by: String,
    },
    /// No shard of that name, or more than one to choose from.
    #[error("{0}")]
    Shard(String),
    /// Every shard that can be reached has as many tenants as may be put on it.
    #[error(
        "every shard has as many tenants as its max_tenants allows: add a further shard, raise it, or say which shard with \
         --shard{away}"
    )]
    Full {
        /// Shards that could not be asked, and why; empty where all were.
        away: String,
    },
    /// Schemas cannot be built ahead: another name would make something wrong in them.
    #[error(
        "schemas cannot be built ahead: {0} holds the schema's name, which changes when it is handed out"
    )]
    NamesItself(String),
    /// What was to be run before a tenant is dropped did not end well.
    #[error(
        "tenant {name} was not dropped: `{program}` (provision.before_retire) {why}; `tenantry tenant retire {name}` tries \
         again, `tenantry tenant resume {name}` has it back"
    )]
    NotKept {
        /// The tenant.
        name: String,
        /// The program.
        program: String,
        /// How it ended.
        why: String,
    },
    /// The migrations cannot be planned.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A migration failed in the new schema.
    #[error("{0}")]
    Failed(Box<Failure>),
}

impl ProvisionError {
    /// So many things in the way are named.
    const SHOWN: usize = 10;

    fn needed(schema: &str, mut by: Vec<String>) -> Self {
        let more = by.len().saturating_sub(Self::SHOWN);
        by.truncate(Self::SHOWN);
        let mut by = by.join(", ");
        if more > 0 {
            by.push_str(&format!(" and {more} more"));
        }
        let schema = schema.to_owned();
        Self::Needed { schema, by }
    }
}

/// What can be done with a tenant that is in a state where something else cannot be.
fn way_out(name: &str, state: TenantState) -> String {
    match state {
        TenantState::Provisioning => {
            format!("`tenantry tenant add {name}` goes on where it stopped")
        }
        TenantState::Retiring => format!("`tenantry tenant retire {name}` finishes that"),
        TenantState::Renaming => format!(
            "`tenantry tenant rename {name} NEW` finishes that, with the name it was to have (`tenant show` tells \
             it); `tenantry tenant rename {name} {name}` leaves it its name, where its schema has that still"
        ),
        TenantState::Active | TenantState::Suspended => {
            format!(
                "somebody else changed it meanwhile; `tenantry tenant show {name}`, then try again"
            )
        }
    }
}
