//! What keeps a snapshot from being taken.

/// Why a schema's structure could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StructureError {
    /// The database has no schema of that name.
    #[error("there is no schema {0:?}")]
    NoSchema(String),
    /// The database failed, or took the connection away.
    #[error("failed to {doing} of schema {schema:?}")]
    Database {
        /// What was being read.
        doing: &'static str,
        /// The schema's name.
        schema: String,
        /// What sqlx said.
        #[source]
        source: sqlx::Error,
    },
}
