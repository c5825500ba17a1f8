//! What keeps a snapshot from being taken.

/// Why a schema's structure could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StructureError {
    /// The database has no schema of that name.
    #[error("there is no schema {0:?}")]
    NoSchema(String),
    /// It could not be looked at without waiting for somebody.
    #[error("the structure of schema {schema:?} could not be read: {reason}")]
    NotSeen {
        /// The schema's name.
        schema: String,
        /// What was in the way.
        reason: String,
    },
    /// The database failed while many schemas were looked at.
    #[error("failed to {doing} of {schemas} schemas")]
    Fingerprints {
        /// What was being read.
        doing: &'static str,
        /// How many they were.
        schemas: usize,
        /// What sqlx said.
        #[source]
        source: sqlx::Error,
    },
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

/// SQLSTATE of a statement that was cancelled, as after `statement_timeout`.
const CANCELLED: &str = "57014";

impl StructureError {
    /// Whether it took longer than it might.
    pub fn is_of_time(&self) -> bool {
        let (Self::Fingerprints { source, .. } | Self::Database { source, .. }) = self else {
            return false;
        };
        match source {
            sqlx::Error::Database(error) => error.code().as_deref() == Some(CANCELLED),
            sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::TimedOut,
            _ => false,
        }
    }
}
