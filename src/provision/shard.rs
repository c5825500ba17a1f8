//! Which shard a tenant is put on.

use super::ProvisionError;
use crate::{fleet::Fleet, postgres::Shard, tenant::ShardName};

/// The shard that was named, else the only one there is.
pub fn choose_shard<'a>(
    fleet: &'a Fleet,
    named: Option<&ShardName>,
) -> Result<&'a Shard, ProvisionError> {
    let names = || {
        let names: Vec<_> = fleet.shards.iter().map(|s| s.name.as_str()).collect();
        names.join(", ")
    };
    if let Some(name) = named {
        return fleet.shards.get(name).ok_or_else(|| {
            ProvisionError::Shard(format!(
                "there is no shard {name} in the configuration; there are: {}",
                names()
            ))
        });
    }
    let mut shards = fleet.shards.iter();
    match (shards.next(), shards.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(ProvisionError::Shard(format!(
            "there are several shards ({}): say which one with --shard",
            names()
        ))),
    }
}
