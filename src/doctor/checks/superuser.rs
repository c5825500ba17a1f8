use crate::doctor::{Check, Found, Looking, Patient};

/// Too many rights.
#[derive(Debug, Clone, Copy)]
pub struct Superuser;

impl Check for Superuser {
    fn name(&self) -> &'static str {
        "superuser"
    }

    fn looks_at(&self) -> &'static str {
        "whether the role is a superuser"
    }

    fn why(&self) -> &'static str {
        "a script with a slip in it can then change anything, in every database of the server"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let (superuser, role, database): (bool, String, String) = sqlx::query_as(
                "select rolsuper, quote_ident(rolname), quote_ident(current_database()) from pg_roles where rolname = current_user",
            )
            .fetch_one(patient.connection())
            .await?;
            Ok(vec![if superuser {
                Found::warning(
                    format!("{role} is a superuser"),
                    format!(
                        "CREATE ROLE tenantry LOGIN; GRANT CREATE ON DATABASE {database} TO tenantry; then let that role own the \
                         schemas (ALTER SCHEMA … OWNER TO tenantry) and use it in the URL"
                    ),
                )
            } else {
                Found::ok(format!("{role} is none"))
            }])
        })
    }
}
