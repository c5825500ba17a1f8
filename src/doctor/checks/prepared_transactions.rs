use crate::doctor::{Check, Found, Looking, Patient};
use std::time::Duration;

/// Prepared transactions that were forgotten.
#[derive(Debug, Clone, Copy)]
pub struct PreparedTransactions {
    /// Younger ones are somebody's work.
    pub older_than: Duration,
}

impl Check for PreparedTransactions {
    fn name(&self) -> &'static str {
        "prepared-transactions"
    }

    fn looks_at(&self) -> &'static str {
        "prepared transactions that nobody has ended"
    }

    fn why(&self) -> &'static str {
        "they hold their locks and keep VACUUM from its work, even over a restart"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let old: Vec<(String, String)> = sqlx::query_as(
                "select quote_literal(gid), date_trunc('second', clock_timestamp() - prepared)::text
                   from pg_prepared_xacts
                  where database = current_database() and prepared <= clock_timestamp() - make_interval(secs => $1)
                  order by prepared limit 10",
            )
            .bind(self.older_than.as_secs_f64())
            .fetch_all(patient.connection())
            .await?;
            if old.is_empty() {
                return Ok(vec![Found::ok("none")]);
            }
            let found = old.into_iter().map(|(gid, age)| {
                Found::error(
                    format!("{gid} is prepared since {age}"),
                    format!(
                        "ROLLBACK PREPARED {gid}; (or COMMIT PREPARED, as whoever prepared it says)"
                    ),
                )
            });
            Ok(found.collect())
        })
    }
}
