//! The scratch server as the rest of the program sees it.

use std::{fmt, str::FromStr};

use sqlx::postgres::PgConnectOptions;

use super::{Options, ScratchError, database, guard::Guard, guardian, supply::Supply, url};
use crate::sql::Ident;

/// The SQLSTATE of what somebody may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

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
        self.tell(name)?;
        let made = database::create(&self.url, name).await;
        made.map_err(|error| self.not_made(name, error))?;
        Ok(self.url_of(name))
    }

    /// Creates a database like `original`, to which nobody may be connected, to be gone with the server; its URL.
    pub async fn copy_database(
        &self,
        name: &Ident,
        original: &Ident,
    ) -> Result<String, ScratchError> {
        self.tell(name)?;
        let made = database::copy(&self.url, name, original).await;
        made.map_err(|error| self.not_made(name, error))?;
        Ok(self.url_of(name))
    }

    /// Drops a database that was created here, whoever is connected to it.
    pub async fn drop_database(&self, name: &Ident) -> Result<(), ScratchError> {
        let dropped = database::drop_all(&self.url, std::slice::from_ref(name)).await;
        dropped.map_err(failed(name))
    }

    /// Those of these roles that are not there: whoever makes them may drop them, and else they are gone with the server.
    pub(in crate::verify) async fn reserve_roles(
        &self,
        mut names: Vec<Ident>,
    ) -> Result<Vec<Ident>, ScratchError> {
        if names.is_empty() {
            return Ok(names);
        }
        let there = database::roles(&self.url).await;
        let there = there.map_err(ScratchError::Roles)?;
        names.retain(|name| !there.contains(name.as_str()));
        if self.kind == "url" {
            for name in &names {
                self.guard.tell(&guardian::role(name))?;
            }
        }
        Ok(names)
    }

    /// Drops those of the roles that exist and that nothing depends on.
    pub(in crate::verify) async fn drop_roles(&self, names: &[Ident]) -> Result<(), ScratchError> {
        let dropped = database::drop_roles(&self.url, names).await;
        dropped.map_err(ScratchError::Roles)
    }

    fn not_made(&self, name: &Ident, error: sqlx::Error) -> ScratchError {
        let code = error.as_database_error().and_then(|error| error.code());
        let options = PgConnectOptions::from_str(&self.url).ok();
        let role = options.and_then(|options| Ident::new(options.get_username()).ok());
        match role {
            Some(role) if code.as_deref() == Some(INSUFFICIENT_PRIVILEGE) => {
                ScratchError::MayNot { role }
            }
            _ => failed(name)(error),
        }
    }

    /// Before it exists, so that it is dropped even if we are killed right after.
    fn tell(&self, name: &Ident) -> Result<(), ScratchError> {
        if self.kind == "url" {
            self.guard.tell(name.as_str())?;
        }
        Ok(())
    }

    /// Ends it and waits until it is gone. Dropping it does the same without waiting.
    pub async fn stop(self) -> Result<(), ScratchError> {
        self.guard.dismiss().await
    }
}

fn failed(name: &Ident) -> impl FnOnce(sqlx::Error) -> ScratchError {
    let name = name.clone();
    move |source| ScratchError::Database { name, source }
}

/// Without the URL, which holds the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
