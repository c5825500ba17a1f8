//! Where a setting is from.

use std::{fmt, path::PathBuf};

/// Prefix of the environment's variables. Two underscores, so that `TENANTRY_CONFIG` is no setting.
pub(super) const PREFIX: &str = "TENANTRY__";

/// Where a setting is from: what a person has to change to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `config/default.toml`, which is part of the binary.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
}

impl Origin {
    /// The variable that sets the key at `path`.
    pub(super) fn variable(path: &[String]) -> Self {
        Self::Environment(format!("{PREFIX}{}", path.join("__").to_uppercase()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::File(path) => f.pad(&path.to_string_lossy()),
            Self::Environment(variable) => f.pad(variable),
        }
    }
}
