use crate::doctor::{Check, Found, Looking, Patient};

/// The size of the catalog.
#[derive(Debug, Clone, Copy)]
pub struct CatalogSize {
    /// So many are well.
    pub advised: i64,
}

impl Check for CatalogSize {
    fn name(&self) -> &'static str {
        "catalog-size"
    }

    fn looks_at(&self) -> &'static str {
        "how many relations (tables, indexes, sequences …) the database has"
    }

    fn why(&self) -> &'static str {
        "the catalog and every connection's memory of it grow with them, and so do backups and upgrades"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (relations, size): (i64, String) = sqlx::query_as(
                "select count(*), pg_size_pretty(pg_total_relation_size('pg_class') + pg_total_relation_size('pg_attribute'))
                   from pg_class",
            )
            .fetch_one(patient.connection())
            .await?;
            let value = format!("{relations} relations, a catalog of {size}");
            Ok(vec![if relations > self.advised {
                Found::warning(
                    format!("{value}; up to {} are advised", self.advised),
                    "put new tenants on another shard: add [shards.NAME] with its `url`, and `tenantry tenant add --shard NAME`",
                )
            } else {
                Found::ok(value)
            }])
        })
    }
}
