//! Tenants in state *provisioning*: their schemas are made, whoever registered them.

use std::sync::Arc;

use anyhow::Context as _;
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{patience::Patience, pending::caught_up};
use crate::{
    fleet::Fleet,
    postgres::Fault,
    provision::{self, ProvisionError},
    reconcile::{Next, Passing, Reconciler},
    store::tenants::{self, Tenant},
    tenant::TenantState,
};

/// How many schemas are made at once.
const AT_ONCE: usize = 4;

/// Makes the schemas of tenants in state *provisioning*.
pub(super) struct Provisioning {
    caught_up: watch::Receiver<Option<Arc<Fleet>>>,
    patience: Patience,
}

impl Provisioning {
    /// Begins when `caught_up` has a fleet, and with that one: tenants' migrations may need the shared ones.
    pub(super) fn new(caught_up: watch::Receiver<Option<Arc<Fleet>>>) -> Self {
        Self {
            caught_up,
            patience: Patience::default(),
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
        self.patience
            .whose_turn(&mut waiting, |tenant| &tenant.name);
        Ok(waiting)
    }

    async fn provision(&self, fleet: &Fleet, tenant: &Tenant) {
        let (name, shard) = (&tenant.name, &tenant.shard);
        match provision::resume(fleet, tenant).await {
            Ok(_) => {
                self.patience.forget(name);
                tracing::info!(tenant = %name, %shard, "provisioned");
            }
            // Another daemon or a command has it in hand.
            Err(ProvisionError::Busy(_)) => {}
            Err(ProvisionError::Failed(failure))
                if matches!(failure.fault, Fault::Busy | Fault::Stale) => {}
            Err(error) => {
                let pause = self.patience.put_off(name);
                tracing::error!(tenant = %name, %shard, "cannot provision: {error}; again in {} s", pause.as_secs());
            }
        }
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
