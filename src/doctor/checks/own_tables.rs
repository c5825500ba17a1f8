use crate::doctor::{Check, Found, Looking, Patient};

/// The rights on our own tables.
#[derive(Debug, Clone, Copy)]
pub struct OwnTables;

impl Check for OwnTables {
    fn name(&self) -> &'static str {
        "own-tables"
    }

    fn looks_at(&self) -> &'static str {
        "the rights on the schema `tenantry` and its tables"
    }

    fn why(&self) -> &'static str {
        "the record is read and written in them"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let lacking: Option<(Vec<String>, String)> = sqlx::query_as(
                "select array(
                     select 'USAGE, CREATE ON SCHEMA tenantry' where not has_schema_privilege(n.oid, 'USAGE')
                         or not has_schema_privilege(n.oid, 'CREATE')
                     union all
                     select 'SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tenantry'
                      where exists (
                          select from pg_class c where c.relnamespace = n.oid and c.relkind = 'r'
                             and not (has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT')
                                      and has_table_privilege(c.oid, 'UPDATE') and has_table_privilege(c.oid, 'DELETE')))
                 ), quote_ident(current_user)
                   from pg_namespace n where n.nspname = 'tenantry'",
            )
            .fetch_optional(patient.connection())
            .await?;
            let Some((lacking, role)) = lacking else {
                return Ok(Vec::new());
            };
            if lacking.is_empty() {
                return Ok(vec![Found::ok("may be read and written")]);
            }
            let grants = lacking
                .iter()
                .map(|what| format!("GRANT {what} TO {role};"));
            Ok(vec![Found::error(
                format!("{role} lacks {}", lacking.join(" and ")),
                grants.collect::<Vec<_>>().join(" "),
            )])
        })
    }
}
