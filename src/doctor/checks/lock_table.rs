use crate::doctor::{Check, Found, Looking, Patient};

/// The shared table of locks.
#[derive(Debug, Clone, Copy)]
pub struct LockTable;

impl Check for LockTable {
    fn name(&self) -> &'static str {
        "lock-table"
    }

    fn looks_at(&self) -> &'static str {
        "the room in the lock table (`max_locks_per_transaction` × connections) against `apply.concurrency` × the locks that a transaction may take"
    }

    fn why(&self) -> &'static str {
        "a lock table that is full fails every session on the server, the application's too"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            if !patient.is_shard {
                return Ok(Vec::new());
            }
            let (each, room): (i64, i64) = sqlx::query_as(
                "select l, l * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)
                   from (select current_setting('max_locks_per_transaction')::bigint) as s (l)",
            )
            .fetch_one(patient.connection())
            .await?;
            let at_once = i64::try_from(patient.shard.concurrency).unwrap_or(i64::MAX);
            let needed = at_once.saturating_mul(patient.fleet.limits.locks.into());
            let value = format!(
                "room for {room} locks; {at_once} transactions at once may take {needed} of them"
            );
            let enough = needed.saturating_mul(2);
            let wanted = each.saturating_mul(enough) / room.max(1) + 1;
            let remedy = || {
                format!(
                    "ALTER SYSTEM SET max_locks_per_transaction = {}; then restart the server (or lower `apply.concurrency`)",
                    (wanted.max(64) + 63) / 64 * 64
                )
            };
            Ok(vec![if needed > room {
                Found::error(value, remedy())
            } else if enough > room {
                Found::warning(
                    format!("{value}, which leaves the application less than half"),
                    remedy(),
                )
            } else {
                Found::ok(value)
            }])
        })
    }
}
