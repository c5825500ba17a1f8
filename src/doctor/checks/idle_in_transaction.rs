use sqlx::Connection as _;

use crate::doctor::{Check, Found, Looking, Patient};

/// How long transactions may be forgotten.
#[derive(Debug, Clone, Copy)]
pub struct IdleInTransaction;

impl Check for IdleInTransaction {
    fn name(&self) -> &'static str {
        "idle-in-transaction"
    }

    fn looks_at(&self) -> &'static str {
        "`idle_in_transaction_session_timeout` as applications have it"
    }

    fn why(&self) -> &'static str {
        "a transaction that an application forgets holds its locks for ever, and no migration of that tenant gets through"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let mut transaction = patient.plain.begin().await?;
            let value: String =
                sqlx::query_scalar("select current_setting('idle_in_transaction_session_timeout')")
                    .persistent(false)
                    .fetch_one(&mut *transaction)
                    .await?;
            transaction.commit().await?;
            Ok(vec![if value == "0" {
                Found::note(
                    "idle_in_transaction_session_timeout is 0: without a limit",
                    "ALTER SYSTEM SET idle_in_transaction_session_timeout = '5min'; SELECT pg_reload_conf();",
                )
            } else {
                Found::ok(value)
            }])
        })
    }
}
