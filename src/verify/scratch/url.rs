//! Changing the database in a URL without understanding the rest of it.

use crate::sql::Ident;

/// The same server, user and parameters, another database.
pub(super) fn with_database(url: &str, database: &Ident) -> String {
    let (address, parameters) = url.split_at(url.find('?').unwrap_or(url.len()));
    let host = address.find("://").map_or(0, |at| at + 3);
    let server = address[host..]
        .find('/')
        .map_or(address, |at| &address[..host + at]);
    format!(
        "{server}/{}{parameters}",
        percent_encoded(database.as_str())
    )
}

/// As RFC 3986 wants a path segment; more is encoded than has to be, which does no harm.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        for (url, expected) in [
            (
                "postgres://me:pw@[::1]:5432/old",
                "postgres://me:pw@[::1]:5432/a%20b",
            ),
            ("postgres://host", "postgres://host/a%20b"),
            (
                "postgres:///old?host=/run/postgresql",
                "postgres:///a%20b?host=/run/postgresql",
            ),
            (
                "postgres://h/x?sslmode=require",
                "postgres://h/a%20b?sslmode=require",
            ),
        ] {
            assert_eq!(
                with_database(url, &Ident::new("a b").unwrap()),
                expected,
                "{url}"
            );
        }
    }
}
