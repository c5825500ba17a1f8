//! What every session starts from: limits and habits that do not depend on what the server's own settings are.

use sqlx::postgres::PgConnectOptions;

use super::ServerError;

/// A dead client's statement would run on and commit. Servers before 14, and those on some systems, do not have it.
pub(super) const CHECK: (&str, &str) = ("client_connection_check_interval", "1s");

/// Wanted in every transaction.
const EVERYWHERE: [(&str, &str); 4] = [
    // A client that hangs would hold its locks for ever.
    ("idle_in_transaction_session_timeout", "30s"),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
    // A script that ends its transaction finds no schema to write to.
    ("search_path", ""),
];

/// For the socket between us and the server, which notices a dead machine or network by these. Sockets of Unix ignore them.
const SOCKET: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10s"),
    ("tcp_keepalives_interval", "5s"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20s"),
];

/// Our own, by which a session tells whether what it asked for has reached the server.
pub(super) const MARK: (&str, &str) = ("tenantry.session", "direct");

/// What takes back, before RESET ALL, what that leaves as it is of a session; advisory locks are let go of apart. A macro,
/// so that it can be a part of static text.
macro_rules! reset {
    () => {
        "RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; CLOSE ALL; UNLISTEN *"
    };
}
pub(crate) use reset;

/// Asks for all of them when the connection is made; `RESET ALL` then returns to them.
pub(super) fn at_start(options: &PgConnectOptions, check: bool) -> PgConnectOptions {
    let check = check.then_some(CHECK);
    let settings = EVERYWHERE.into_iter().chain(SOCKET);
    options.clone().options(settings.chain([MARK]).chain(check))
}

/// Whether something between us and the server takes no such request: protocol_violation as pgbouncer says it, or
/// feature_not_supported. A server itself says neither before there is a session.
pub(super) fn are_refused(error: &ServerError) -> bool {
    ["08P01", "0A000"].contains(&error.code.as_str())
}

/// Asks for nothing that a pooler refuses.
pub(super) fn behind_a_pooler(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().extra_float_digits(None)
}

/// What stands before a message where they could not be asked for: the same for this transaction alone. On one line, and
/// how many statements it is.
pub(super) fn ahead() -> (String, usize) {
    let settings = [CHECK].into_iter().chain(EVERYWHERE);
    let statements: Vec<_> = settings
        .map(|(name, value)| format!("SET LOCAL {name} = '{value}'; "))
        .collect();
    (statements.concat(), statements.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_ahead_is_counted() {
        let (text, statements) = ahead();
        assert_eq!(text.matches("SET LOCAL ").count(), statements);
        assert_eq!(text.matches(';').count(), statements);
        assert!(text.contains("SET LOCAL search_path = ''; "), "{text}");
        assert!(
            !text.contains("tcp_"),
            "that socket is the pooler's: {text}"
        );
    }
}
