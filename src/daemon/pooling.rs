//! The warm pool: schemas are built ahead on every shard, and kept where a new tenant would be.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pending::caught_up;
use crate::{
    fleet::Fleet,
    history::Digest,
    postgres::Shard,
    provision::{self, ProvisionError},
    reconcile::{Next, Passing, Reconciler},
    tenant::ShardName,
};

/// Keeps the pool of every shard.
pub(super) struct Pooling {
    caught_up: watch::Receiver<Option<Arc<Fleet>>>,
    /// Where schemas cannot be built ahead, and with what: that was told once.
    unfit: Mutex<HashMap<ShardName, (Digest, Digest)>>,
}

impl Pooling {
    /// Begins when `caught_up` has a fleet, and with that one.
    pub(super) fn new(caught_up: watch::Receiver<Option<Arc<Fleet>>>) -> Self {
        Self {
            caught_up,
            unfit: Mutex::default(),
        }
    }

    async fn look(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let Some(fleet) = caught_up(&self.caught_up, stop).await else {
            return Ok(Next::Never);
        };
        let shards = fleet.shards.iter();
        let kept = join_all(shards.map(|shard| self.keep(&fleet, shard, stop))).await;
        let failed: Vec<_> = kept.into_iter().filter_map(Result::err).collect();
        if let Some(first) = failed.into_iter().next() {
            return Err(first);
        }
        // What was there when the pool was turned off is gone by now.
        Ok(match fleet.provision.pool_max {
            0 => Next::Never,
            _ => Next::Later,
        })
    }

    async fn keep(
        &self,
        fleet: &Fleet,
        shard: &Shard,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let (name, stands) = (&shard.name, provision::stands(fleet));
        if self.unfit().get(name) == Some(&stands) {
            return Ok(());
        }
        match provision::keep(fleet, shard, stop).await {
            Ok(kept) => {
                let kept = kept.unwrap_or_default();
                if kept.made + kept.moved + kept.dropped > 0 {
                    let (ready, made) = (kept.ready, kept.made);
                    let (moved, dropped) = (kept.moved, kept.dropped);
                    tracing::info!(shard = %name, ready, made, moved, dropped, "schemas are built ahead");
                }
                Ok(())
            }
            Err(error @ ProvisionError::NamesItself(_)) => {
                tracing::warn!(shard = %name, "{error}: tenants are built when they are added");
                self.unfit().insert(name.clone(), stands);
                Ok(())
            }
            Err(error) => Err(anyhow::Error::new(error).context(format!("shard {name}"))),
        }
    }

    fn unfit(&self) -> std::sync::MutexGuard<'_, HashMap<ShardName, (Digest, Digest)>> {
        self.unfit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reconciler for Pooling {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.look(stop))
    }
}
