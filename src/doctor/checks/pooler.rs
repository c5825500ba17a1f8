use crate::doctor::{Check, Found, Looking, Patient};

/// A pooler in the way.
#[derive(Debug, Clone, Copy)]
pub struct Pooler;

impl Check for Pooler {
    fn name(&self) -> &'static str {
        "pooler"
    }

    fn looks_at(&self) -> &'static str {
        "whether each connection has a server process of its own, with the settings that it asked for"
    }

    fn why(&self) -> &'static str {
        "behind a transaction pooler, locks of a session and work outside transactions go astray"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            const QUESTION: &str = "select pg_backend_pid(), current_setting('client_connection_check_interval', true)";
            let (one, interval): (i32, Option<String>) = sqlx::query_as(QUESTION)
                .fetch_one(patient.connection())
                .await?;
            let (other, _): (i32, Option<String>) = sqlx::query_as(QUESTION)
                .fetch_one(&mut *patient.plain)
                .await?;
            let remedy = "let the URL lead to PostgreSQL itself, past the pooler";
            Ok(vec![if one == other {
                Found::error(
                    "two connections share one server process: a transaction pooler is between",
                    remedy,
                )
            } else if interval.as_deref() != Some("1s") {
                Found::warning(
                    "settings that a connection asks for at its start do not arrive: a pooler is between \
                     (client_connection_check_interval)",
                    remedy,
                )
            } else {
                Found::ok("direct connections")
            }])
        })
    }
}
