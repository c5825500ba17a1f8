//! What keeps a roundtrip from being judged at all. What is wrong with a migration is a finding, and no error.

use crate::{
    fleet::FleetError,
    postgres::{ServerError, SessionError},
    provision::ProvisionError,
    sql::InvalidIdent,
    store::StoreError,
    structure::StructureError,
    tenant::InvalidTenantName,
    verify::{SinceError, scratch::ScratchError},
};

/// Why nothing could be proven.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The scratch server.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// The settings or the files.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Our own tables on it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its connection.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The tenants made on it.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// What a schema looks like could not be read.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// A schema of the application bears the name that a tenant on trial would have.
    #[error(transparent)]
    Tenant(#[from] InvalidTenantName),
    /// A name that PostgreSQL does not take.
    #[error(transparent)]
    Name(#[from] InvalidIdent),
    /// What is new could not be found out.
    #[error(transparent)]
    Since(#[from] SinceError),
    /// What the database should have before the first migration.
    #[error("the database cannot be prepared: {0}")]
    Prepare(ServerError),
    /// Rows could not be put into tables or read from them, whatever the tables are.
    #[error("cannot write or read rows: {0}")]
    Rows(ServerError),
}
