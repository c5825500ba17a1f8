//! Tenants, shards and the targets they make.

pub mod selector;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sql::{Ident, InvalidIdent};

/// What the names of schemas begin with that are built ahead, before they have a tenant's.
pub const POOLED: &str = "tenantry_pool_";

/// A tenant's name, which is also its schema's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantName(Ident);

/// Why a text cannot name a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTenantName {
    /// Not a PostgreSQL name at all.
    #[error("{name:?} cannot name a tenant: {reason}")]
    NotAName {
        /// The text.
        name: String,
        /// What is wrong with it.
        reason: InvalidIdent,
    },
    /// A schema that is PostgreSQL's own or tenantry's.
    #[error("{0:?} cannot name a tenant: the schema belongs to PostgreSQL or to tenantry")]
    Reserved(String),
}

impl TenantName {
    /// Takes any schema name that is not PostgreSQL's own (`pg_*`, `information_schema`, `public`, `$user`) nor one of
    /// tenantry's (`tenantry`, and whatever begins with [`POOLED`]).
    ///
    /// Shared schemas are refused by whoever knows them, see `Settings::tenant_name`.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidTenantName> {
        let name = name.into();
        let reserved = ["public", "information_schema", "tenantry", "$user"];
        if name.starts_with("pg_") || name.starts_with(POOLED) || reserved.contains(&name.as_str())
        {
            return Err(InvalidTenantName::Reserved(name));
        }
        Ident::new(name.as_str())
            .map(Self)
            .map_err(|reason| InvalidTenantName::NotAName { name, reason })
    }

    /// The schema that holds this tenant's tables.
    pub fn schema(&self) -> &Ident {
        &self.0
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl TryFrom<String> for TenantName {
    type Error = InvalidTenantName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<TenantName> for String {
    fn from(name: TenantName) -> Self {
        name.as_str().to_owned()
    }
}

/// The name of a shard: one database that holds tenants. A key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardName(String);

impl ShardName {
    /// Takes a key of the configuration's `shards` table.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One schema on one shard: what a plan is applied to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The database.
    pub shard: ShardName,
    /// The schema in it.
    pub schema: Ident,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.shard, self.schema.as_str())
    }
}

/// Where a tenant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantState {
    /// Registered; its schema is being made.
    Provisioning,
    /// In use: moved with the fleet.
    Active,
    /// Out of use for now: left where it stands.
    Suspended,
    /// Its schema is being renamed; not moved meanwhile.
    Renaming,
    /// Its schema is being taken away.
    Retiring,
}

impl TenantState {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Renaming => "renaming",
            Self::Retiring => "retiring",
        }
    }
}

impl fmt::Display for TenantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_are_not_ours_are_refused() {
        for name in [
            "public",
            "pg_temp_1",
            "tenantry",
            "tenantry_pool_1",
            "information_schema",
            "$user",
            "",
        ] {
            assert!(TenantName::new(name).is_err(), "{name:?} was taken");
        }
        assert!(TenantName::new(r#"we"ird; drop schema public cascade--"#).is_ok());
    }
}
