use crate::doctor::{Check, Found, Looking, Patient};

/// A server that takes no writes.
#[derive(Debug, Clone, Copy)]
pub struct ReadOnly;

impl Check for ReadOnly {
    fn name(&self) -> &'static str {
        "read-only"
    }

    fn looks_at(&self) -> &'static str {
        "whether the server takes writes"
    }

    fn why(&self) -> &'static str {
        "on a standby nothing can be moved"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (standby, read_only): (bool, bool) = sqlx::query_as(
                "select pg_is_in_recovery(), current_setting('transaction_read_only')::boolean",
            )
            .fetch_one(patient.connection())
            .await?;
            Ok(vec![if standby {
                Found::error(
                    "the server is a standby",
                    "let the URL lead to the primary (add target_session_attrs=read-write where several hosts are named)",
                )
            } else if read_only {
                Found::error(
                    "transactions are read-only",
                    "ALTER DATABASE … RESET default_transaction_read_only; (`role-settings` says where it is set)",
                )
            } else {
                Found::ok("takes writes")
            }])
        })
    }
}
