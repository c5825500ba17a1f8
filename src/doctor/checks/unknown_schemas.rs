use super::first;
use crate::doctor::{Check, Found, Looking, Patient};

/// Schemas that nobody told us of.
#[derive(Debug, Clone, Copy)]
pub struct UnknownSchemas;

impl Check for UnknownSchemas {
    fn name(&self) -> &'static str {
        "unknown-schemas"
    }

    fn looks_at(&self) -> &'static str {
        "schemas that are neither a tenant's nor in the configuration"
    }

    fn why(&self) -> &'static str {
        "a tenant that was made by hand, or by another tool, is never moved"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            if !patient.has_tables || !patient.is_shard {
                return Ok(Vec::new());
            }
            let limits = &patient.fleet.limits;
            let mut ours: Vec<String> = limits
                .extra_search_path
                .iter()
                .map(|s| s.as_str().to_owned())
                .collect();
            ours.push(patient.fleet.shared_schema.as_str().to_owned());
            let (count, names): (i64, Vec<String>) = sqlx::query_as(
                "with unknown as (
                     select n.nspname::text as name from pg_namespace n
                      where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public', 'tenantry')
                        and n.nspname::text <> all ($1)
                        and not exists (select from tenantry.heads h where h.schema_oid = n.oid or h.schema_name = n.nspname::text)
                        and not exists (select from pg_depend d where d.classid = 'pg_namespace'::regclass
                                           and d.objid = n.oid and d.deptype = 'e')
                      order by 1)
                 select (select count(*) from unknown), array(select name from unknown limit 5)",
            )
            .bind(ours)
            .fetch_one(patient.connection())
            .await?;
            Ok(vec![if count == 0 {
                Found::ok("none")
            } else {
                Found::note(
                    format!(
                        "{count} that tenantry knows nothing of: {}",
                        first(&names, count)
                    ),
                    "where one is a tenant's: `tenantry tenant import NAME`",
                )
            }])
        })
    }
}
