//! What the conductor has done beside its own loop, so that nobody who pauses or cancels a rollout waits for it: hooks, and
//! looks at the gate. Kept in memory only; what has to outlive this daemon is written by the errand itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;

use crate::config::{Gate, Hooks};

/// How one ended, or why it did not end well.
type Ended = Result<(), String>;

/// What this daemon does between waves, and what of it is under way.
#[derive(Debug)]
pub struct Errands {
    pub(super) gate: Gate,
    pub(super) hooks: Hooks,
    under_way: Mutex<HashMap<String, Errand>>,
}

/// Ends what it does when it is dropped.
#[derive(Debug)]
struct Errand {
    ended: Arc<Mutex<Option<(Ended, Instant)>>>,
    _task: AbortOnDropHandle<()>,
}

impl Errands {
    /// With nothing under way.
    pub fn new(gate: Gate, hooks: Hooks) -> Self {
        Self {
            gate,
            hooks,
            under_way: Mutex::default(),
        }
    }

    /// Gives up all that is under way.
    pub fn give_up(&self) {
        self.keep(None);
    }

    /// Gives up what is under way for other rollouts than this one.
    pub(super) fn keep(&self, rollout: Option<i64>) {
        let prefix = rollout.map(prefix);
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|key, _| {
            prefix
                .as_ref()
                .is_some_and(|prefix| key.starts_with(prefix))
        });
    }

    /// How the errand of this name ended, which is begun where it is not under way; none while it is. An end is told for
    /// `fresh`, then it is begun anew.
    pub(super) fn ended<F>(
        &self,
        key: &str,
        fresh: Duration,
        begin: impl FnOnce() -> F,
    ) -> Option<Ended>
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(errand) = under_way.get(key) {
            let ended = errand.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let (ended, at) = ended.clone()?;
            if at.elapsed() <= fresh {
                return Some(ended);
            }
        }
        let (errand, ended) = (begin(), Arc::new(Mutex::new(None)));
        let slot = ended.clone();
        let task = tokio::spawn(async move {
            let ended = errand.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((ended, Instant::now()));
        });
        let errand = Errand {
            ended,
            _task: AbortOnDropHandle::new(task),
        };
        under_way.insert(key.to_owned(), errand);
        None
    }

    /// Forgets how it ended: next time it is begun anew.
    pub(super) fn forget(&self, key: &str) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.remove(key);
    }
}

/// What the names of a rollout's errands begin with.
pub(super) fn prefix(rollout: i64) -> String {
    format!("rollout-{rollout}/")
}
