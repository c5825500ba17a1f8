//! `[shards.NAME]`: the databases that hold tenants.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use super::checks::Checks;
use crate::tenant::ShardName;

/// One database that holds tenants, with everything filled in.
#[derive(Debug, Clone)]
pub struct Shard {
    /// Its name.
    pub name: ShardName,
    /// Where it is.
    pub url: SecretString,
    /// The same database past a pooler; none where `url` goes straight to the server.
    pub direct_url: Option<SecretString>,
    /// The table that says so: `home`, or `shards.NAME`.
    pub table: String,
    /// How many tenants are moved at once.
    pub concurrency: usize,
    /// So many tenants are put on it, at most, where nobody says which shard; none for no limit.
    pub max_tenants: Option<u64>,
}

/// What a shard's table says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShardTable {
    pub(super) url: SecretString,
    pub(super) direct_url: Option<SecretString>,
    pub(super) concurrency: Option<usize>,
    pub(super) max_tenants: Option<u64>,
}

/// The keys of a shard's table.
pub(super) const KEYS: [&str; 4] = ["url", "direct_url", "concurrency", "max_tenants"];

pub(super) fn check(shards: &BTreeMap<ShardName, ShardTable>, checks: &mut Checks) {
    for (name, shard) in shards {
        let key = format!("shards.{name}");
        checks.require(
            is_plain(name.as_str()),
            &key,
            "names of shards have letters, digits, \"-\" and \"_\" only",
        );
        checks.url(&shard.url, &format!("{key}.url"));
        if let Some(url) = &shard.direct_url {
            checks.url(url, &format!("{key}.direct_url"));
        }
        if let Some(concurrency) = shard.concurrency {
            checks.at_least_one(concurrency as u64, &format!("{key}.concurrency"));
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
