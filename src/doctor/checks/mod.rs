//! The shelf of checks: one file each. A new one is its file, and two lines here.

mod catalog_size;
mod clock;
mod connections;
mod create_schemas;
mod durability;
mod encoding;
mod idle_in_transaction;
mod invalid_indexes;
mod leftover_copies;
mod leftover_locks;
mod lock_table;
mod monitoring;
mod old_transactions;
mod own_tables;
mod pool;
mod pooler;
mod prepared_transactions;
mod public_schemas;
mod read_only;
mod record;
mod role_settings;
mod server_version;
mod superuser;
mod tables_version;
mod unknown_schemas;
mod vacuum;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use self::{
    catalog_size::CatalogSize, clock::Clock, connections::Connections,
    create_schemas::CreateSchemas, durability::Durability, encoding::Encoding,
    idle_in_transaction::IdleInTransaction, invalid_indexes::InvalidIndexes,
    leftover_copies::LeftoverCopies, leftover_locks::LeftoverLocks, lock_table::LockTable,
    monitoring::Monitoring, old_transactions::OldTransactions, own_tables::OwnTables, pool::Pool,
    pooler::Pooler, prepared_transactions::PreparedTransactions, public_schemas::PublicSchemas,
    read_only::ReadOnly, record::Record, role_settings::RoleSettings,
    server_version::ServerVersion, superuser::Superuser, tables_version::TablesVersion,
    unknown_schemas::UnknownSchemas, vacuum::Vacuum,
};
use super::Check;

/// Every check, in the order in which people are told.
pub static CHECKS: &[&dyn Check] = &[
    &ServerVersion {
        oldest: 14,
        newest: 18,
    },
    &ReadOnly,
    &Encoding,
    &Pooler,
    &Connections,
    &LockTable,
    &RoleSettings,
    &IdleInTransaction,
    &Durability,
    &CreateSchemas,
    &OwnTables,
    &TablesVersion,
    &Superuser,
    &Monitoring,
    &PublicSchemas,
    &CatalogSize { advised: 200_000 },
    &Vacuum { dead: 100_000 },
    &Record,
    &UnknownSchemas,
    &Pool,
    &InvalidIndexes,
    &LeftoverCopies,
    &LeftoverLocks {
        older_than: Duration::from_secs(60),
    },
    &OldTransactions {
        older_than: Duration::from_secs(300),
    },
    &PreparedTransactions {
        older_than: Duration::from_secs(300),
    },
    &Clock {
        now: Timestamp::now,
        apart: SignedDuration::from_secs(2),
    },
];

/// `a, b, c and 4 more`, of names of which there are `count` in all.
fn first(names: &[String], count: i64) -> String {
    let shown = &names[..names.len().min(5)];
    let more = count - i64::try_from(shown.len()).unwrap_or(0);
    let mut text = shown.join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}
