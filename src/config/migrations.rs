//! `[migrations]`: where the sets are, and what their scripts may see.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::checks::Checks;
use crate::sql::Ident;

/// Where the migrations are, and what they may see.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrations {
    /// Directories of the shared set, relative to the current directory.
    pub shared: Vec<PathBuf>,
    /// Directories of the tenants' set, relative to the current directory.
    pub tenant: Vec<PathBuf>,
    /// The file of the tenants' structure from which new tenants are built; none where the migrations build them.
    #[serde(deserialize_with = "unless_empty")]
    pub structure: Option<PathBuf>,
    /// The schema that all tenants share.
    #[serde(deserialize_with = "ident")]
    pub shared_schema: Ident,
    /// Schemas that scripts see after their own, in this order.
    #[serde(deserialize_with = "idents")]
    pub extra_search_path: Vec<Ident>,
    /// Schemas beside its own in which a tenant's script may change something.
    #[serde(deserialize_with = "idents")]
    pub also_writes: Vec<Ident>,
    /// Whether a lower version may follow a higher one.
    pub allow_out_of_order: bool,
}

impl Migrations {
    pub(super) fn check(&self, checks: &mut Checks) {
        for (key, directories) in [
            ("migrations.shared", &self.shared),
            ("migrations.tenant", &self.tenant),
        ] {
            checks.require(
                directories.iter().all(|path| !path.as_os_str().is_empty()),
                key,
                "an empty text is no directory: write \".\" for the current one",
            );
        }
        if let Some(both) = self.shared.iter().find(|path| self.tenant.contains(path)) {
            let message = format!(
                "{} is in migrations.shared too: each scope needs directories of its own",
                both.display()
            );
            checks.require(false, "migrations.tenant", message);
        }
        checks.require(
            !is_reserved(&self.shared_schema),
            "migrations.shared_schema",
            format!(
                "the schema {} belongs to PostgreSQL or to tenantry: choose another",
                self.shared_schema
            ),
        );
        // pg_temp stands last in every path; in front it would let a session put its tables before the real ones.
        checks.require(
            !self.extra_search_path.iter().any(is_reserved),
            "migrations.extra_search_path",
            "schemas of PostgreSQL's own and of tenantry cannot be added: leave them out",
        );
        checks.require(
            !self.also_writes.iter().any(is_reserved),
            "migrations.also_writes",
            "no script may change schemas of PostgreSQL's own or of tenantry: leave them out",
        );
    }
}

fn is_reserved(schema: &Ident) -> bool {
    let name = schema.as_str();
    name.starts_with("pg_") || ["information_schema", "tenantry", "$user"].contains(&name)
}

fn unless_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    Ok((!path.as_os_str().is_empty()).then_some(path))
}

fn ident<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ident, D::Error> {
    Ident::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn idents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ident>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .into_iter()
        .map(|name| Ident::new(name).map_err(D::Error::custom))
        .collect()
}
