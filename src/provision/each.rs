//! The same done to many tenants: bounded concurrency a shard, failures as data.

use std::collections::BTreeMap;

use futures::{StreamExt as _, future::join_all, stream};
use tokio_util::sync::CancellationToken;

use super::ProvisionError;
use crate::{fleet::Fleet, store::tenants::Tenant, tenant::ShardName};

/// What became of one tenant of many.
#[derive(Debug)]
pub struct Each {
    /// Which one.
    pub tenant: Tenant,
    /// How it ended; none where it was not begun, because somebody asked to stop.
    pub ended: Option<Result<(), ProvisionError>>,
}

/// Does `work` to every tenant, as many at once on each shard as are moved at once there. One that fails stops nobody.
///
/// What is begun when `stop` is cancelled is finished. Returns one for each tenant, by name.
pub async fn each(
    fleet: &Fleet,
    tenants: Vec<Tenant>,
    stop: &CancellationToken,
    work: impl AsyncFn(&Tenant) -> Result<(), ProvisionError>,
) -> Vec<Each> {
    let mut by_shard: BTreeMap<ShardName, Vec<Tenant>> = BTreeMap::new();
    for tenant in tenants {
        by_shard
            .entry(tenant.shard.clone())
            .or_default()
            .push(tenant);
    }
    let work = &work;
    let one = async |tenant: Tenant| {
        let ended = if stop.is_cancelled() {
            None
        } else {
            Some(work(&tenant).await)
        };
        Each { tenant, ended }
    };
    let shards = by_shard.into_iter().map(|(name, tenants)| {
        // A shard that nobody configured is told of once a tenant.
        let at_once = fleet.shards.get(&name).map_or(1, |shard| shard.concurrency);
        let ended = stream::iter(tenants).map(&one).buffer_unordered(at_once);
        ended.collect::<Vec<_>>()
    });
    let mut ended: Vec<_> = join_all(shards).await.into_iter().flatten().collect();
    ended.sort_by(|a, b| a.tenant.name.cmp(&b.tenant.name));
    ended
}
