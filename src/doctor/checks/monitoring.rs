use crate::doctor::{Check, Found, Looking, Patient};

/// Whether other sessions can be seen.
#[derive(Debug, Clone, Copy)]
pub struct Monitoring;

impl Check for Monitoring {
    fn name(&self) -> &'static str {
        "monitoring"
    }

    fn looks_at(&self) -> &'static str {
        "membership in `pg_read_all_stats`"
    }

    fn why(&self) -> &'static str {
        "without it nobody can be told which session of the application is in the way"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (may, role): (bool, String) = sqlx::query_as(
                "select pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), quote_ident(current_user)",
            )
            .fetch_one(patient.connection())
            .await?;
            Ok(vec![if may {
                Found::ok(format!("{role} sees all sessions"))
            } else {
                Found::note(
                    format!("{role} does not see what other roles' sessions do"),
                    format!("GRANT pg_read_all_stats TO {role};"),
                )
            }])
        })
    }
}
