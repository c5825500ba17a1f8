use crate::doctor::{Check, Found, Looking, Patient};

/// Whether VACUUM keeps up.
#[derive(Debug, Clone, Copy)]
pub struct Vacuum {
    /// So many dead rows of a table are no matter.
    pub dead: i64,
}

impl Check for Vacuum {
    fn name(&self) -> &'static str {
        "vacuum"
    }

    fn looks_at(&self) -> &'static str {
        "autovacuum, and dead rows in the catalog and in tenantry's tables"
    }

    fn why(&self) -> &'static str {
        "every migration leaves dead rows there; without VACUUM each one is slower than the one before"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (autovacuum, tables): (bool, Vec<String>) = sqlx::query_as(
                "select current_setting('autovacuum')::boolean and current_setting('track_counts')::boolean, array(
                     select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
                       from pg_class c join pg_namespace n on n.oid = c.relnamespace
                      where n.nspname = 'tenantry' and 'autovacuum_enabled=false' = any (c.reloptions)
                         or n.nspname = 'tenantry' and 'autovacuum_enabled=off' = any (c.reloptions)
                      order by 1)",
            )
            .fetch_one(patient.connection())
            .await?;
            let dead: Vec<(String, i64, i64)> = sqlx::query_as(
                "select quote_ident(schemaname) || '.' || quote_ident(relname), n_dead_tup, n_live_tup
                   from pg_stat_all_tables
                  where (schemaname = 'tenantry' or schemaname = 'pg_catalog')
                    and n_dead_tup > greatest($1, n_live_tup)
                  order by n_dead_tup desc limit 5",
            )
            .bind(self.dead)
            .fetch_all(patient.connection())
            .await?;
            let mut found = Vec::new();
            if !autovacuum {
                found.push(Found::error(
                    "autovacuum is off",
                    "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
                ));
            }
            found.extend(tables.into_iter().map(|table| {
                Found::warning(
                    format!("autovacuum is off for {table}"),
                    format!("ALTER TABLE {table} RESET (autovacuum_enabled);"),
                )
            }));
            found.extend(dead.into_iter().map(|(table, dead, live)| {
                Found::warning(
                    format!("{table} has {dead} dead rows beside {live} live ones"),
                    format!("VACUUM ANALYZE {table};"),
                )
            }));
            if found.is_empty() {
                found.push(Found::ok("keeps up"));
            }
            Ok(found)
        })
    }
}
