//! PostgreSQL's errors, sorted by what to do about them.

use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use super::SessionError;

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
    /// Somebody asked to stop at once: it was cancelled on the server, and is rolled back.
    Cancelled,
    /// This tenant's data or schema does not take it.
    Tenant,
}

impl Fault {
    /// Sorts what the server said. A state in which a connection ends counts as one only where the server ended it: a script
    /// may reach for a server of its own, or raise whatever it likes, and its error is the script's then.
    pub fn of(error: &ServerError) -> Self {
        match Self::of_code(&error.code) {
            Self::Connection if !error.ends_session => Self::Tenant,
            // too_many_connections: said to those who ask for one.
            Self::Shard if error.code == "53300" && !error.ends_session => Self::Tenant,
            fault => fault,
        }
    }

    /// Sorts an SQLSTATE, whoever said it. What is not listed fails the tenant.
    fn of_code(code: &str) -> Self {
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
            // admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout
            "57P01" | "57P02" | "57P03" | "57P04" | "57P05" => Self::Connection,
            // idle_in_transaction_session_timeout, transaction_timeout: both end the session as well
            "25P03" | "25P04" => Self::Connection,
            // configuration_limit_exceeded, of temporary files say: the statement wants too much, and the others do not
            "53400" => Self::Tenant,
            // read_only_sql_transaction, io_error
            "25006" | "58030" => Self::Shard,
            // disk_full, out_of_memory, too_many_connections, and what else is short
            _ if code.starts_with("53") => Self::Shard,
            // syntax_error, active_sql_transaction, invalid_transaction_termination
            "42601" | "25001" | "2D000" => Self::Author,
            _ if code.starts_with("08") => Self::Connection,
            _ => Self::Tenant,
        }
    }

    /// Sorts the end of a session.
    pub fn of_session(error: &SessionError) -> Self {
        match error {
            SessionError::Cancelled(_) => Self::Cancelled,
            SessionError::Connect { .. } | SessionError::Lost(_) => Self::Connection,
            // No tenant of the shard can be carried that way.
            SessionError::Pooled { .. } => Self::Author,
        }
    }

    /// Sorts any error of the driver.
    pub fn of_error(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(_) => Self::of(&ServerError::of(error)),
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
    /// Whether the server ended the session with it, as only FATAL and PANIC do: no script can say that.
    #[serde(skip)]
    pub ends_session: bool,
    /// Whether the statement may run on: nobody waits for it any longer, and it could not be ended on the server.
    #[serde(skip)]
    pub leaves_running: bool,
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
            ends_session: false,
            leaves_running: false,
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
            ends_session: matches!(database.severity(), PgSeverity::Fatal | PgSeverity::Panic),
            leaves_running: false,
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
        let sorted: &[(Fault, &[&str])] = &[
            (Fault::Busy, &["TN001"]),
            (Fault::Stale, &["TN002"]),
            (Fault::Gone, &["TN003"]),
            (Fault::Dirty, &["TN004"]),
            (Fault::Escaped, &["TN005"]),
            (Fault::Wandered, &["TN006"]),
            (Fault::Retry, &["55P03", "40P01", "40001"]),
            (Fault::Finer, &["55P04", "55006"]),
            (
                Fault::Connection,
                &[
                    "08000", "08003", "08006", "08P01", "57P01", "57P02", "57P03", "57P04",
                    "57P05", "25P03", "25P04",
                ],
            ),
            (
                Fault::Shard,
                &["53000", "53100", "53200", "53300", "25006", "58030"],
            ),
            (Fault::Author, &["42601", "25001", "2D000"]),
            // Nobody says in 57014 whether a statement timeout or a person cancelled it; neither is to be tried again.
            (
                Fault::Tenant,
                &[
                    "23505", "23503", "42P01", "42501", "22012", "57014", "53400", "XX000", "",
                ],
            ),
        ];
        for (fault, codes) in sorted {
            for code in *codes {
                assert_eq!(Fault::of(&said(code, true)), *fault, "{code}");
            }
        }
    }

    #[test]
    fn a_connection_is_lost_only_with_what_ends_the_session() {
        let broken = [
            "08000", "08001", "08006", "08P01", "57P01", "57P02", "57P03", "57P04", "57P05",
            "25P03", "25P04", "53300",
        ];
        for code in broken {
            assert_eq!(Fault::of(&said(code, false)), Fault::Tenant, "{code}");
        }
        // These are said of the server to a session that goes on.
        for code in ["53000", "53100", "53200", "25006", "58030"] {
            assert_eq!(Fault::of(&said(code, false)), Fault::Shard, "{code}");
        }
        for (code, fault) in [("55P03", Fault::Retry), ("42601", Fault::Author)] {
            assert_eq!(Fault::of(&said(code, false)), fault, "{code}");
        }
    }

    fn said(code: &str, ends_session: bool) -> ServerError {
        ServerError {
            code: code.to_owned(),
            ends_session,
            ..ServerError::local("no".to_owned())
        }
    }

    #[test]
    fn an_error_of_the_network_is_the_connections() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(Fault::of_error(&broken.into()), Fault::Connection);
        let nothing = sqlx::Error::RowNotFound;
        assert_eq!(Fault::of_error(&nothing), Fault::Tenant);
    }
}
