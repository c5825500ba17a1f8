use sqlx::Connection as _;

use crate::doctor::{Check, Found, Looking, Patient};

/// Whether what is committed stays.
#[derive(Debug, Clone, Copy)]
pub struct Durability;

impl Check for Durability {
    fn name(&self) -> &'static str {
        "durability"
    }

    fn looks_at(&self) -> &'static str {
        "`fsync`, `full_page_writes` and `synchronous_commit`"
    }

    fn why(&self) -> &'static str {
        "after a crash, what was reported as done may not be"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let mut transaction = patient.plain.begin().await?;
            let settings: Vec<(String, String)> = sqlx::query_as(
                "select name, setting from pg_settings
                  where name in ('fsync', 'full_page_writes', 'synchronous_commit') and setting = 'off' order by name",
            )
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
            transaction.commit().await?;
            if settings.is_empty() {
                return Ok(vec![Found::ok("what is committed stays")]);
            }
            let found = settings.into_iter().map(|(name, _)| {
                let remedy = format!(
                    "ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf(); (leave it on a server for tests)"
                );
                Found::warning(format!("{name} is off"), remedy)
            });
            Ok(found.collect())
        })
    }
}
