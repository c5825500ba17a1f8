use crate::doctor::{Check, Found, Looking, Patient};

/// Connections that are left.
#[derive(Debug, Clone, Copy)]
pub struct Connections;

impl Check for Connections {
    fn name(&self) -> &'static str {
        "connections"
    }

    fn looks_at(&self) -> &'static str {
        "connections that are free on the server, in the database and for the role, against `apply.concurrency`"
    }

    fn why(&self) -> &'static str {
        "tenantry and the application take connections from each other"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (free, most): (i64, i64) = sqlx::query_as(
                "select least(
                     current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
                         - (select count(*) from pg_stat_activity where backend_type = 'client backend'),
                     (select nullif(datconnlimit, -1)
                             - (select count(*) from pg_stat_activity a where a.datid = d.oid and a.backend_type = 'client backend')
                        from pg_database d where datname = current_database()),
                     (select nullif(rolconnlimit, -1)
                             - (select count(*) from pg_stat_activity a where a.usesysid = r.oid and a.backend_type = 'client backend')
                        from pg_roles r where rolname = current_user)
                 ), current_setting('max_connections')::bigint",
            )
            .fetch_one(patient.connection())
            .await?;
            // Two of those that are taken are ours, and end with the look.
            let free = free + 2;
            let needed = patient.connections();
            let value = format!("{free} of {most} connections are free; tenantry takes {needed}");
            let remedy = "lower `apply.concurrency`, or ALTER SYSTEM SET max_connections, or raise the limit of the role or the \
                          database (ALTER ROLE … CONNECTION LIMIT)";
            Ok(vec![if free < needed {
                Found::error(value, remedy)
            } else if free < needed.saturating_mul(2) {
                Found::warning(value, remedy)
            } else {
                Found::ok(value)
            }])
        })
    }
}
