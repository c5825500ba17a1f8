//! Tenants in state *provisioning*: their schemas are made, whoever registered them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use futures::{StreamExt, stream};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::pending::caught_up;
use crate::{
    fleet::Fleet,
    postgres::Fault,
    provision::{self, ProvisionError},
    reconcile::{Next, Passing, Reconciler},
    store::tenants::{self, Tenant},
    tenant::{TenantName, TenantState},
};

/// How many schemas are made at once.
const AT_ONCE: usize = 4;

/// How long a tenant that failed is left alone, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Makes the schemas of tenants in state *provisioning*.
pub(super) struct Provisioning {
    caught_up: watch::Receiver<Option<Arc<Fleet>>>,
    failed: Mutex<HashMap<TenantName, Failed>>,
}

/// A tenant that failed the last time.
#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    not_before: Instant,
}

impl Provisioning {
    /// Begins when `caught_up` has a fleet, and with that one: tenants' migrations may need the shared ones.
    pub(super) fn new(caught_up: watch::Receiver<Option<Arc<Fleet>>>) -> Self {
        Self {
            caught_up,
            failed: Mutex::default(),
        }
    }

    async fn look(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let Some(fleet) = caught_up(&self.caught_up, stop).await else {
            return Ok(Next::Never);
        };
        let waiting = self.waiting(&fleet).await;
        let waiting = waiting.context("cannot read the registry")?;
        stream::iter(waiting)
            .for_each_concurrent(AT_ONCE, async |tenant| {
                if !stop.is_cancelled() {
                    self.provision(&fleet, &tenant).await;
                }
            })
            .await;
        Ok(Next::Later)
    }

    /// Those whose turn it is.
    async fn waiting(&self, fleet: &Fleet) -> anyhow::Result<Vec<Tenant>> {
        let mut home = fleet.home().await?;
        let mut waiting = tenants::in_state(home.connection(), TenantState::Provisioning).await?;
        home.close().await;
        let mut failed = self.failed();
        failed.retain(|name, _| waiting.iter().any(|tenant| tenant.name == *name));
        let now = Instant::now();
        waiting.retain(|tenant| {
            failed
                .get(&tenant.name)
                .is_none_or(|failed| failed.not_before <= now)
        });
        Ok(waiting)
    }

    async fn provision(&self, fleet: &Fleet, tenant: &Tenant) {
        let (name, shard) = (&tenant.name, &tenant.shard);
        match provision::resume(fleet, tenant).await {
            Ok(_) => {
                self.failed().remove(name);
                tracing::info!(tenant = %name, %shard, "provisioned");
            }
            // Another daemon or a command has it in hand.
            Err(ProvisionError::Busy(_)) => {}
            Err(ProvisionError::Failed(failure))
                if matches!(failure.fault, Fault::Busy | Fault::Stale) => {}
            Err(error) => {
                let pause = self.put_off(name);
                tracing::error!(tenant = %name, %shard, "cannot provision: {error}; again in {} s", pause.as_secs());
            }
        }
    }

    fn put_off(&self, name: &TenantName) -> Duration {
        let mut failed = self.failed();
        let times = failed.get(name).map_or(0, |failed| failed.times);
        let pause = (PAUSE.0 * 2_u32.saturating_pow(times.min(16))).min(PAUSE.1);
        let not_before = Instant::now() + pause;
        let times = times + 1;
        failed.insert(name.clone(), Failed { times, not_before });
        pause
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, HashMap<TenantName, Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reconciler for Provisioning {
    fn name(&self) -> &'static str {
        "provisioning"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.look(stop))
    }
}
