//! How a message ended, or why nobody can tell.

use super::ServerError;

/// How a message ended.
#[derive(Debug)]
pub enum Outcome {
    /// All of it ran, and it was committed.
    Done,
    /// The server refused a statement; the transaction is rolled back and the session can be used again.
    Refused {
        /// How many statements of the message had been completed before.
        completed: usize,
        /// Where the message's transaction was by then.
        ended: Ended,
        /// What the server said.
        error: ServerError,
    },
}

/// Where the transaction of a message was when one of its statements was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The statement ran in a transaction, which is rolled back now.
    RolledBack,
    /// There was no transaction that could be rolled back.
    Before,
    /// It is committed; the statement ran outside it.
    Committed,
}

/// The connection is of no more use; whether the message was committed is unknown.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No connection could be made.
    #[error("cannot connect to {shard} at {address}: {error} (`{setting}` says where it is)")]
    Connect {
        /// The shard's name.
        shard: String,
        /// Host and port, or the directory of the socket.
        address: String,
        /// Which setting says so.
        setting: String,
        /// What the server or the driver said.
        error: ServerError,
    },
    /// Something needs a session of its own, and a pooler gives out none.
    #[error(
        "{shard} is reached through a pooler at {address} (`{setting}`), which lets transactions through and nothing \
         else, and this needs a session of its own: set `{table}.direct_url` to a URL that leads straight to the server"
    )]
    Pooled {
        /// The shard's name.
        shard: String,
        /// Host and port, or the directory of the socket.
        address: String,
        /// Which setting says so.
        setting: String,
        /// The table of the configuration that the shard is from.
        table: String,
    },
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(ServerError),
    /// Somebody asked to stop at once: the statement was cancelled on the server.
    #[error("{0}")]
    Cancelled(ServerError),
}

impl SessionError {
    /// What went wrong, without where.
    pub fn into_error(self) -> ServerError {
        match self {
            Self::Connect { error, .. } | Self::Lost(error) | Self::Cancelled(error) => error,
            pooled @ Self::Pooled { .. } => ServerError::local(pooled.to_string()),
        }
    }
}
