//! Tenants that are being retired: their schemas are dropped once the time is over in which they can be had back.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{membership::Term, patience::Patience};
use crate::{
    fleet::Fleet,
    provision::{self, ProvisionError},
    reconcile::{Next, Passing, Reconciler},
    store::retiring,
};

/// Drops the schemas of those whose time is over.
pub(super) struct Retiring {
    fleet: Arc<Fleet>,
    term: watch::Receiver<Option<Arc<Term>>>,
    patience: Patience,
}

impl Retiring {
    /// Whatever the files are like: nothing of them is needed.
    pub(super) fn new(fleet: Arc<Fleet>, term: watch::Receiver<Option<Arc<Term>>>) -> Self {
        Self {
            fleet,
            term,
            patience: Patience::default(),
        }
    }

    async fn look(&self, stop: &CancellationToken) -> anyhow::Result<Next> {
        let Some(term) = self.term.borrow().clone() else {
            return Ok(Next::Later);
        };
        let mut home = self.fleet.home().await?;
        let due = retiring::claim(home.connection(), term.me.id).await;
        let mut due = due.context("cannot read who is to be dropped")?;
        home.close().await;
        self.patience.whose_turn(&mut due, |name| name);
        for name in due {
            // Others may have what this daemon had.
            if stop.is_cancelled() || term.over.is_cancelled() {
                break;
            }
            match provision::retire(&self.fleet, &name).await {
                Ok(()) => {
                    self.patience.forget(&name);
                    tracing::info!(tenant = %name, "retired");
                }
                // Somebody had it back, or dropped it, at the last moment.
                Err(ProvisionError::Unknown(_)) => {}
                Err(error) => {
                    let pause = self.patience.put_off(&name).as_secs();
                    tracing::error!(tenant = %name, "cannot retire: {error}; again in {pause} s");
                }
            }
        }
        Ok(Next::Later)
    }
}

impl Reconciler for Retiring {
    fn name(&self) -> &'static str {
        "retiring"
    }

    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a> {
        Box::pin(self.look(stop))
    }
}
