use std::fmt;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{Options, ScratchError, guard::Guard, supply::Supply, url};
use crate::sql::Ident;

/// A PostgreSQL server of our own. It ends, with all its data, when this value or this process ends.
pub struct Server {
    kind: &'static str,
    url: String,
    guard: Guard,
}

impl Server {
    /// Starts a server from the first of the sources that can be used here.
    ///
    /// A source that can be used but fails is an error: the next one is not tried.
    pub async fn start(options: &Options) -> Result<Self, ScratchError> {
        let mut reasons = Vec::new();
        for source in &options.sources {
            match Supply::of(source).await {
                Ok(supply) => {
                    let (url, guard) = supply.start(options).await?;
                    let kind = source.kind();
                    tracing::info!(source = kind, "scratch server started");
                    return Ok(Self { kind, url, guard });
                }
                Err(reason) => reasons.push(format!("  {}: {reason}", source.kind())),
            }
        }
        Err(ScratchError::NoSource {
            reasons: reasons.join("\n"),
        })
    }

    /// Where it came from: `container`, `local`, `download` or `url`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The URL of its first database, password included, for a user who may do anything.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of another of its databases.
    pub fn url_of(&self, database: &Ident) -> String {
        url::with_database(&self.url, database)
    }

    /// Creates an empty database, to be gone with the server; its URL.
    pub async fn create_database(&self, name: &Ident) -> Result<String, ScratchError> {
        let doing = format!("create the database {name}");
        let mut connection = PgConnection::connect(&self.url)
            .await
            .map_err(ScratchError::database(&doing))?;
        if self.kind == "url" {
            // Before it exists, so that it is dropped whenever we are killed.
            self.guard.tell(name.as_str())?;
        }
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .map_err(ScratchError::database(&doing))?;
        connection
            .close()
            .await
            .map_err(ScratchError::database(&doing))?;
        Ok(self.url_of(name))
    }

    /// Ends it and waits until it is gone. Dropping it does the same without waiting.
    pub async fn stop(self) -> Result<(), ScratchError> {
        self.guard.dismiss().await
    }
}

/// Without the URL, which holds the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
