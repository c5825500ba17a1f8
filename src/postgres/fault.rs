//! PostgreSQL's errors, sorted by what to do about them.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

/// What an error asks us to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Another session of ours is at work on the schema: try again a little later, at no cost.
    Busy,
    /// The schema has moved since the plan was made: plan again.
    Stale,
    /// The schema is not the one that was pinned: it was dropped, renamed or made anew.
    Gone,
    /// The schema stopped half-way and waits for a person.
    Dirty,
    /// The schema is in the middle of a migration that is carried statement by statement, and was to be moved otherwise.
    Unfinished,
    /// The text ended our transaction: part of it is committed and not recorded.
    Escaped,
    /// The text left its schema, or dropped or renamed it.
    Wandered,
    /// The text changed what is not in its schema.
    Foreign,
    /// A lock, a deadlock or a serialization failure: try again, a limited number of times.
    Retry,
    /// A transaction has to be cut finer: a new enum value is used, or deferred work is pending.
    Finer,
    /// The connection broke; whether the statement was committed has to be looked up.
    Connection,
    /// The whole database is unwell (disk, memory, connections, read-only): leave it alone.
    Shard,
    /// The text itself is wrong, for every tenant alike.
    Author,
    /// This tenant's data or schema does not take it.
    Tenant,
}

impl Fault {
    /// Sorts an SQLSTATE. What is not listed fails the tenant.
    pub fn of(code: &str) -> Self {
        match code {
            "TN001" => Self::Busy,
            "TN002" => Self::Stale,
            "TN003" => Self::Gone,
            "TN004" => Self::Dirty,
            "TN005" => Self::Escaped,
            "TN006" => Self::Wandered,
            "TN007" => Self::Foreign,
            "TN009" => Self::Unfinished,
            // lock_not_available, deadlock_detected, serialization_failure
            "55P03" | "40P01" | "40001" => Self::Retry,
            // unsafe_new_enum_value_usage, object_in_use
            "55P04" | "55006" => Self::Finer,
            // admin_shutdown, crash_shutdown, cannot_connect_now
            "57P01" | "57P02" | "57P03" => Self::Connection,
            // disk_full, out_of_memory, too_many_connections, read_only_sql_transaction
            "53100" | "53200" | "53300" | "25006" => Self::Shard,
            // syntax_error, active_sql_transaction, invalid_transaction_termination
            "42601" | "25001" | "2D000" => Self::Author,
            _ if code.starts_with("08") => Self::Connection,
            _ => Self::Tenant,
        }
    }

    /// Sorts any error of the driver.
    pub fn of_error(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => {
                database.code().map_or(Self::Tenant, |code| Self::of(&code))
            }
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Self::Connection,
            _ => Self::Tenant,
        }
    }
}

/// What the server said, in its own fields; the driver's own text names lines of PostgreSQL's source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ServerError {
    /// The SQLSTATE; empty when the error is the driver's.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// More about it, if the server said more.
    pub detail: Option<String>,
    /// What the server advises.
    pub hint: Option<String>,
    /// The call stack inside functions.
    pub context: Option<String>,
    /// The character, counted from 0, of the text that was sent.
    #[serde(skip)]
    pub position: Option<usize>,
}

impl ServerError {
    /// An error that no server sent.
    pub fn local(message: String) -> Self {
        Self {
            code: String::new(),
            message,
            detail: None,
            hint: None,
            context: None,
            position: None,
        }
    }

    /// Takes the fields of a driver's error.
    pub fn of(error: &sqlx::Error) -> Self {
        let Some(database) = error
            .as_database_error()
            .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
        else {
            return Self::local(match error {
                // The driver's own words around it tell nothing more.
                sqlx::Error::Io(error) => error.to_string(),
                error => error.to_string(),
            });
        };
        let own = |text: Option<&str>| text.map(str::to_owned);
        Self {
            code: database.code().to_owned(),
            message: database.message().to_owned(),
            detail: own(database.detail()),
            hint: own(database.hint()),
            context: own(database.r#where()),
            position: match database.position() {
                Some(PgErrorPosition::Original(character)) => character.checked_sub(1),
                _ => None,
            },
        }
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if !self.code.is_empty() {
            write!(f, " (SQLSTATE {})", self.code)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_what_to_do() {
        assert_eq!(Fault::of("TN001"), Fault::Busy);
        assert_eq!(Fault::of("40P01"), Fault::Retry);
        assert_eq!(Fault::of("55P04"), Fault::Finer);
        assert_eq!(Fault::of("08006"), Fault::Connection);
        assert_eq!(Fault::of("53100"), Fault::Shard);
        assert_eq!(Fault::of("42601"), Fault::Author);
        assert_eq!(Fault::of("23505"), Fault::Tenant);
    }
}
