use super::first;
use crate::doctor::{Check, Found, Looking, Patient};

/// Indexes that were never finished.
#[derive(Debug, Clone, Copy)]
pub struct InvalidIndexes;

impl Check for InvalidIndexes {
    fn name(&self) -> &'static str {
        "invalid-indexes"
    }

    fn looks_at(&self) -> &'static str {
        "indexes in the schemas of the fleet that are not valid, and that nobody is building"
    }

    fn why(&self) -> &'static str {
        "they cost every write and answer no query; a unique one keeps nothing unique"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            if !patient.has_tables || !patient.is_shard {
                return Ok(Vec::new());
            }
            let (count, names): (i64, Vec<String>) = sqlx::query_as(
                "with broken as (
                     select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
                       from pg_index i
                       join pg_class c on c.oid = i.indexrelid
                       join pg_namespace n on n.oid = c.relnamespace
                       join tenantry.heads h on h.schema_oid = n.oid
                      where not i.indisvalid and c.relkind = 'i'
                        and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)
                      order by 1)
                 select (select count(*) from broken), array(select name from broken limit 5)",
            )
            .fetch_one(patient.connection())
            .await?;
            if count == 0 {
                return Ok(vec![Found::ok("none")]);
            }
            let drop = names
                .iter()
                .map(|name| format!("DROP INDEX CONCURRENTLY {name};"));
            let drop: Vec<_> = drop.collect();
            Ok(vec![Found::error(
                format!("{count} invalid: {}", first(&names, count)),
                format!(
                    "{} then build them again, as the migrations have them",
                    drop.join(" ")
                ),
            )])
        })
    }
}
