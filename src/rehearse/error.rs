//! Why there is no rehearsal at all. What goes wrong with one copy stands in the report.

use std::error::Error as _;

use super::veil::veiled;
use crate::{
    fleet::FleetError,
    postgres::{ServerError, SessionError},
    sql::InvalidIdent,
    structure::{StructureError, WriteError},
    verify::scratch::ScratchError,
};

/// Why nothing, or one copy of many, could be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The settings, the files or the databases of the fleet.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The scratch server.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    /// A connection.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// What a schema looks like could not be read.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// A structure for which there are no words.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A name that PostgreSQL does not take.
    #[error(transparent)]
    Name(#[from] InvalidIdent),
    /// A statement of ours that the server refused.
    #[error("cannot {doing}: {error}")]
    Server {
        /// What we were doing.
        doing: String,
        /// What the server said.
        error: ServerError,
    },
    /// A part of the structure that does not come up on the copy.
    #[error(
        "the copy lacks something: {error}, in: {statement}; `--prepare FILE` makes what stands outside the schema"
    )]
    Stuck {
        /// The statement.
        statement: String,
        /// What the server said.
        error: ServerError,
    },
    /// A table that is to be left out, and is not there: its rows would be copied under another name.
    #[error(
        "no schema that would be copied has a table {0}; `--without` takes the name alone, as it is in the catalog"
    )]
    NoTable(String),
    /// Tables of which the role that copies does not see all rows.
    #[error(
        "policies (row-level security) hide rows of {tables} from the role that copies: leave {it} empty ({options}), or \
         connect as a role with BYPASSRLS",
        tables = .0.join(", "),
        it = if .0.len() == 1 { "it" } else { "them" },
        options = without(.0)
    )]
    Hidden(Vec<String>),
    /// Somebody asked to stop.
    #[error("stopped, as was asked for")]
    Stopped,
}

/// The options that leave tables empty, as they are typed.
fn without(tables: &[String]) -> String {
    let options = tables.iter().map(|table| format!("--without {table}"));
    format!("`{}`", options.collect::<Vec<_>>().join(" "))
}

impl RehearseError {
    /// Whether it tells of one database only, so that the others can be rehearsed.
    pub(super) fn is_of_one_shard(&self) -> bool {
        match self {
            Self::Fleet(error) => error.is_of_one_shard(),
            Self::Session(_) | Self::Server { .. } => true,
            _ => false,
        }
    }

    /// The message with its causes, on one line.
    pub(super) fn told(&self) -> String {
        let mut told = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            told = format!("{told}: {error}");
            cause = error.source();
        }
        told
    }

    /// For `map_err`: an error of the driver with what we were doing.
    pub(super) fn server(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Server {
            doing,
            error: veiled(ServerError::of(&error)),
        }
    }
}
