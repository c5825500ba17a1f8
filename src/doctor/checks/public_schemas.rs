use crate::doctor::{Check, Found, Looking, Patient};

/// Schemas that are open to everybody.
#[derive(Debug, Clone, Copy)]
pub struct PublicSchemas;

impl Check for PublicSchemas {
    fn name(&self) -> &'static str {
        "public-schemas"
    }

    fn looks_at(&self) -> &'static str {
        "who may make objects in `public` and in `migrations.extra_search_path`"
    }

    fn why(&self) -> &'static str {
        "whoever may, can put a function or a table in the way of every tenant's own"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let extra = &patient.fleet.limits.extra_search_path;
            let extra: Vec<String> = extra
                .iter()
                .map(|schema| schema.as_str().to_owned())
                .collect();
            let open: Vec<(String, bool)> = sqlx::query_as(
                "select quote_ident(n.nspname), n.nspname::text = any ($1)
                   from pg_namespace n
                  where n.nspname::text = any ($1 || 'public'::text)
                    and exists (select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
                                 where a.grantee = 0 and a.privilege_type = 'CREATE')
                  order by 1",
            )
            .bind(extra)
            .fetch_all(patient.connection())
            .await?;
            if open.is_empty() {
                return Ok(vec![Found::ok("closed to everybody")]);
            }
            let found = open.into_iter().map(|(schema, is_on_path)| {
                let value = format!("everybody may make objects in {schema}");
                let remedy = format!("REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;");
                if is_on_path {
                    Found::error(format!("{value}, which scripts see"), remedy)
                } else {
                    Found::warning(value, remedy)
                }
            });
            Ok(found.collect())
        })
    }
}
