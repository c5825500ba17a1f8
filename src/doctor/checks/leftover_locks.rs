use crate::doctor::{Check, Found, Looking, Patient};
use std::time::Duration;

/// Our own locks that were left behind.
#[derive(Debug, Clone, Copy)]
pub struct LeftoverLocks {
    /// Who has been idle for less is at work.
    pub older_than: Duration,
}

impl Check for LeftoverLocks {
    fn name(&self) -> &'static str {
        "leftover-locks"
    }

    fn looks_at(&self) -> &'static str {
        "tenantry's own locks that idle sessions hold"
    }

    fn why(&self) -> &'static str {
        "whoever comes to that schema finds it busy"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let held: Vec<(i32, String, String)> = sqlx::query_as(
                "select distinct a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'),
                        date_trunc('second', clock_timestamp() - a.state_change)::text
                   from pg_locks l join pg_stat_activity a on a.pid = l.pid
                  where l.locktype = 'advisory' and l.granted and l.classid = 1953395321
                    and l.database = (select oid from pg_database where datname = current_database())
                    and a.state like 'idle%' and a.pid <> pg_backend_pid()
                    and a.state_change <= clock_timestamp() - make_interval(secs => $1)
                  order by 1 limit 10",
            )
            .bind(self.older_than.as_secs_f64())
            .fetch_all(patient.connection())
            .await?;
            if held.is_empty() {
                return Ok(vec![Found::ok("none")]);
            }
            let found = held.into_iter().map(|(pid, name, age)| {
                Found::warning(
                    format!("session {pid} ({name}) holds one and has been idle for {age}"),
                    format!("SELECT pg_terminate_backend({pid});"),
                )
            });
            Ok(found.collect())
        })
    }
}
