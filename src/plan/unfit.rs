//! Why a new tenant is not built from the file of the structure, in words that say what to do about it.

use std::path::{Path, PathBuf};

use crate::migration::Version;

/// Why new tenants are not built from the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", place(.path, *.line))]
pub struct Unfit {
    /// The file.
    pub path: PathBuf,
    /// Which line of it says so; none where it is about the file as a whole.
    pub line: Option<usize>,
    /// Why, and what to do about it.
    pub why: Why,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not there, or cannot be read.
    #[error("cannot be read: {0}; `tenantry dump` writes it")]
    Unreadable(String),
    /// Nothing says which migrations it stands for.
    #[error(
        "does not say which migrations it stands for: it was not written by `tenantry dump` from the tenants' migrations; \
         `tenantry dump` writes it"
    )]
    NoOrigin,
    /// That is said in a way that cannot be read.
    #[error("`{0}` cannot be read; `tenantry dump` writes the file anew")]
    Unknown(String),
    /// It says itself that it does not stand for them.
    #[error("says that no tenant can be built from it; the lines before it say why")]
    Nobody,
    /// It was changed since it was written.
    #[error(
        "what follows is not what was written: it was changed by hand; `tenantry dump` writes the file anew"
    )]
    Edited,
    /// Its lines end otherwise than they were written.
    #[error(
        "its lines end with CR LF, which it was not written with, and strings of several lines would be others; \
         `*.sql text eol=lf` in .gitattributes keeps git from it, and `tenantry dump` writes the file anew"
    )]
    LineEnds,
    /// The set has no such version.
    #[error(
        "stands at {0}, which is in no file of the tenants' migrations; `tenantry dump` writes the file anew"
    )]
    UnknownVersion(Version),
    /// The migrations are others now.
    #[error(
        "the migrations up to {0} are not those that it was made from: one was changed, added or taken away since; \
         `tenantry dump` writes the file anew"
    )]
    Changed(Version),
    /// The repeatables are others now.
    #[error(
        "the repeatables were changed since it was written; `tenantry dump` writes the file anew"
    )]
    Repeatables,
    /// The shared set is another one now.
    #[error(
        "the shared migrations were changed since it was written, and what tenants have can depend on them; `tenantry dump` \
         writes the file anew"
    )]
    Shared,
    /// The settings are others now.
    #[error(
        "`migrations.shared_schema`, `extra_search_path` or `also_writes` was changed since it was written: names can mean \
         something else, and scripts do more; `tenantry dump` writes the file anew"
    )]
    Settings,
    /// The server is of another version.
    #[error(
        "was written on PostgreSQL {file}, and the server is PostgreSQL {server}; `tenantry dump` on a server of that \
         version writes the file anew"
    )]
    Postgres {
        /// What it was written on.
        file: i32,
        /// What the shard runs.
        server: i32,
    },
}

fn place(path: &Path, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}
