use crate::doctor::{Check, Found, Looking, Patient};

/// The version of the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerVersion {
    /// The oldest major version that works.
    pub oldest: u32,
    /// The newest that was there when this was written.
    pub newest: u32,
}

impl Check for ServerVersion {
    fn name(&self) -> &'static str {
        "server-version"
    }

    fn looks_at(&self) -> &'static str {
        "the major version of the server"
    }

    fn why(&self) -> &'static str {
        "an older server lacks what tenantry needs; a newer one was not there when it was written"
    }

    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a> {
        Box::pin(async move {
            let number: String = sqlx::query_scalar("select current_setting('server_version_num')")
                .fetch_one(patient.connection())
                .await?;
            let major = number.parse::<u32>().unwrap_or(0) / 10_000;
            let supported = format!("{} to {}", self.oldest, self.newest);
            Ok(vec![if major < self.oldest {
                Found::error(
                    format!("PostgreSQL {major}; supported are {supported}"),
                    format!("upgrade the server to PostgreSQL {} or newer", self.oldest),
                )
            } else if major > self.newest {
                Found::note(
                    format!("PostgreSQL {major}; supported are {supported}"),
                    "look for a newer tenantry, and try the migrations on a copy first",
                )
            } else {
                Found::ok(format!("PostgreSQL {major}"))
            }])
        })
    }
}
