use crate::doctor::{Check, Found, Looking, Patient};

/// The encoding.
#[derive(Debug, Clone, Copy)]
pub struct Encoding;

impl Check for Encoding {
    fn name(&self) -> &'static str {
        "encoding"
    }

    fn looks_at(&self) -> &'static str {
        "the database's encoding"
    }

    fn why(&self) -> &'static str {
        "scripts are UTF-8; a character that the database cannot hold fails a migration"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let encoding: String = sqlx::query_scalar("select current_setting('server_encoding')")
                .fetch_one(patient.connection())
                .await?;
            Ok(vec![if encoding == "UTF8" {
                Found::ok(encoding)
            } else {
                Found::warning(
                    encoding,
                    "make the database anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and restore it there",
                )
            }])
        })
    }
}
