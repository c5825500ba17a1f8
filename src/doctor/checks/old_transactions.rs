use crate::doctor::{Check, Found, Looking, Patient};
use std::time::Duration;

/// Transactions that do not end.
#[derive(Debug, Clone, Copy)]
pub struct OldTransactions {
    /// Younger ones are nobody's trouble.
    pub older_than: Duration,
}

impl Check for OldTransactions {
    fn name(&self) -> &'static str {
        "old-transactions"
    }

    fn looks_at(&self) -> &'static str {
        "transactions that have been open for long"
    }

    fn why(&self) -> &'static str {
        "their locks hold migrations up, and CREATE INDEX CONCURRENTLY waits for every one of them"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let old: Vec<(i32, String, String, String, String)> = sqlx::query_as(
                "select pid, coalesce(usename::text, '?'), coalesce(nullif(application_name, ''), 'unnamed'), coalesce(state, '?'),
                        date_trunc('second', clock_timestamp() - xact_start)::text
                   from pg_stat_activity
                  where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
                    and xact_start <= clock_timestamp() - make_interval(secs => $1)
                  order by xact_start limit 5",
            )
            .bind(self.older_than.as_secs_f64())
            .fetch_all(patient.connection())
            .await?;
            if old.is_empty() {
                return Ok(vec![Found::ok("none")]);
            }
            let found = old.into_iter().map(|(pid, user, name, state, age)| {
                Found::warning(
                    format!("session {pid} ({user}, {name}) is {state}, in a transaction of {age}"),
                    format!("SELECT pg_terminate_backend({pid}); or let the application end it"),
                )
            });
            Ok(found.collect())
        })
    }
}
