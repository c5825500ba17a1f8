use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It works, until something else happens.
    Warning,
    /// tenantry cannot work, or not safely.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What a check found in one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How bad it is.
    pub severity: Severity,
    /// What was found, with its value.
    pub value: String,
    /// What mends it: a command, SQL or a setting; none where nothing has to be done.
    pub remedy: Option<String>,
}

impl Found {
    /// As it should be.
    pub fn ok(value: impl Into<String>) -> Self {
        Self {
            severity: Severity::Ok,
            value: value.into(),
            remedy: None,
        }
    }

    /// Good to know.
    pub fn note(value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(Severity::Note, value, remedy)
    }

    /// It works, until something else happens.
    pub fn warning(value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(Severity::Warning, value, remedy)
    }

    /// tenantry cannot work, or not safely.
    pub fn error(value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::bad(Severity::Error, value, remedy)
    }

    fn bad(severity: Severity, value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            severity,
            value: value.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// What was found, where, and by which check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// The database: a shard's name, or `home`.
    pub database: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    #[serde(rename = "found")]
    pub value: String,
    /// Why it matters.
    pub why: &'static str,
    /// What mends it.
    pub remedy: Option<String>,
}
