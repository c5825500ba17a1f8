//! What can go wrong with a scratch server.

use std::{io, path::PathBuf};

use crate::sql::Ident;

/// Why there is no scratch server, or why it did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// None of the sources that were tried can be used on this machine; one line of reasons each.
    #[error(
        "no PostgreSQL to start a scratch server with:\n{reasons}\ninstall PostgreSQL \
         (Debian, Ubuntu: apt-get install postgresql) or a Docker engine"
    )]
    NoSource {
        /// Lines of the form `  source: reason`.
        reasons: String,
    },
    /// The text names no source.
    #[error(
        "`{0}` is no source of scratch servers: give container, local, download or a postgres:// URL"
    )]
    UnknownSource(String),
    /// The operating system refused something the server needs.
    #[error("cannot {doing}")]
    System {
        /// What we were about to do.
        doing: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One of PostgreSQL's programs ended with an error.
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        /// Its file.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines that it or the server wrote.
        output: String,
    },
    /// The guardian did not report for duty, so nothing was started.
    #[error("{} does not work as the guardian of a scratch server", .0.display())]
    Guardian(PathBuf),
    /// The guardian could not clean up.
    #[error("the scratch server could not be removed ({0})")]
    NotRemoved(std::process::ExitStatus),
    /// The Docker engine refused something.
    #[cfg(feature = "container")]
    #[error("the Docker engine cannot {doing}")]
    Engine {
        /// What we asked for.
        doing: String,
        /// Its answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The role that a server is reached as has not the right to make databases there.
    #[error(
        "the role {role} may not create databases on the scratch server, which is all it needs there: \
         let a superuser run ALTER ROLE {role} CREATEDB, or name another role in the URL"
    )]
    MayNot {
        /// The role, as SQL writes it.
        role: Ident,
    },
    /// The server refused to make or drop a database.
    #[error("cannot make or drop the database {name} on the scratch server")]
    Database {
        /// The database's name.
        name: Ident,
        /// The server's answer.
        #[source]
        source: sqlx::Error,
    },
    /// The server did not say which roles there are, or was gone.
    #[error("cannot read or drop the roles of the scratch server")]
    Roles(#[source] sqlx::Error),
}

impl ScratchError {
    /// For `map_err`: an error of the operating system with what we were doing.
    pub(super) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}
