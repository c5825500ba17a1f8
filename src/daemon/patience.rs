//! Tenants that failed are left alone for a while, longer each time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::tenant::TenantName;

/// How long a tenant that failed is left alone, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Which tenants failed, and how often.
#[derive(Debug, Default)]
pub(super) struct Patience(Mutex<HashMap<TenantName, Failed>>);

/// A tenant that failed the last time.
#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    not_before: Instant,
}

impl Patience {
    /// Keeps those in `waiting` whose turn it is, and forgets all that are not there.
    pub(super) fn whose_turn<T>(&self, waiting: &mut Vec<T>, name: impl Fn(&T) -> &TenantName) {
        let mut failed = self.failed();
        failed.retain(|known, _| waiting.iter().any(|one| name(one) == known));
        let now = Instant::now();
        waiting.retain(|one| {
            let failed = failed.get(name(one));
            failed.is_none_or(|failed| failed.not_before <= now)
        });
    }

    /// It failed once more. Gives for how long it is left alone.
    pub(super) fn put_off(&self, name: &TenantName) -> Duration {
        let mut failed = self.failed();
        let times = failed.get(name).map_or(0, |failed| failed.times);
        let pause = (PAUSE.0 * 2_u32.saturating_pow(times.min(16))).min(PAUSE.1);
        let not_before = Instant::now() + pause;
        let times = times + 1;
        failed.insert(name.clone(), Failed { times, not_before });
        pause
    }

    /// It did not fail.
    pub(super) fn forget(&self, name: &TenantName) {
        self.failed().remove(name);
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<TenantName, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
