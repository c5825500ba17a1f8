//! Why settings cannot be used. The messages name keys and places, never the value of a secret.

use std::{fmt, path::PathBuf};

use super::Origin;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file was asked for and cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{} is not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what is wrong; never the line itself, which may hold a password.
        reason: String,
    },
    /// All that is wrong with the keys and values.
    #[error("the configuration cannot be used:{}", indented(.0))]
    Invalid(Vec<Problem>),
    /// `home.url` is needed and empty.
    #[error(
        "`home.url` is not set: set TENANTRY__HOME__URL, or `url` under [home] in tenantry.toml"
    )]
    NoHome,
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `apply.concurrency`.
    pub key: String,
    /// Where the value is from.
    pub origin: Origin,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}): {}", self.key, self.origin, self.message)
    }
}

fn indented(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}
