use crate::doctor::{Check, Found, Looking, Patient};

/// The right to make schemas.
#[derive(Debug, Clone, Copy)]
pub struct CreateSchemas;

impl Check for CreateSchemas {
    fn name(&self) -> &'static str {
        "create-schemas"
    }

    fn looks_at(&self) -> &'static str {
        "the right to make schemas (`CREATE` on the database)"
    }

    fn why(&self) -> &'static str {
        "without it no tenant can be added, and tenantry cannot make its own schema"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (may, role, database): (bool, String, String) = sqlx::query_as(
                "select has_database_privilege(current_database(), 'CREATE'), quote_ident(current_user), quote_ident(current_database())",
            )
            .fetch_one(patient.connection())
            .await?;
            Ok(vec![if may {
                Found::ok(format!("{role} may make schemas"))
            } else {
                Found::error(
                    format!("{role} may not make schemas in {database}"),
                    format!("GRANT CREATE ON DATABASE {database} TO {role};"),
                )
            }])
        })
    }
}
