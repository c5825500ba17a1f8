//! How far the backfills of the fleet have come.

use std::collections::BTreeMap;

use futures::future::try_join_all;

use crate::{
    fleet::{Fleet, FleetError},
    store::cursors::{self, Progress},
    travel::Survey,
};

/// How far every backfill that was ever begun has come, over all shards but those that `survey` found away, by name.
pub async fn progress(fleet: &Fleet, survey: &Survey) -> Result<Vec<Progress>, FleetError> {
    let shards = fleet.shards.iter();
    let shards = shards.filter(|shard| !survey.away.contains_key(&shard.name));
    let shards = shards.map(|shard| async move {
        let mut session = fleet.shard(shard).await?;
        let progress = cursors::progress(session.connection()).await?;
        session.close().await;
        Ok::<_, FleetError>(progress)
    });
    let mut all: BTreeMap<String, Progress> = BTreeMap::new();
    for found in try_join_all(shards).await?.into_iter().flatten() {
        match all.get_mut(&found.backfill) {
            Some(sum) => {
                sum.schemas += found.schemas;
                sum.done += found.done;
                sum.rows_done += found.rows_done;
            }
            None => drop(all.insert(found.backfill.clone(), found)),
        }
    }
    Ok(all.into_values().collect())
}
