//! How often and how long something is tried again: a little by what went wrong, never without a limit.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::{
    Failure, Limits, Rung,
    ladder::{self, LONGEST},
};
use crate::{
    history::Head,
    postgres::{Blocker, Fault},
};

/// How often and how long one message is tried again.
#[derive(Debug)]
pub struct Patience<'a> {
    limits: &'a Limits,
    start: Instant,
    locked: usize,
    lost: usize,
    unreachable: usize,
    unreachable_since: Option<Instant>,
    busy: usize,
    busy_since: Option<Instant>,
    pauses: Pauses,
    /// Whether somebody else sees to the next try.
    is_single: bool,
}

/// Each reason has pauses of its own: who has met a lock for long need not be slow to see that a server is back.
#[derive(Debug)]
struct Pauses {
    locked: ladder::Pauses,
    busy: ExponentialBackoff,
    lost: ExponentialBackoff,
}

impl<'a> Patience<'a> {
    /// One message may lose its connection so often: it may be what brings the server down.
    const RECONNECTS: usize = 5;

    /// A server that takes no connections is waited for so long: longer than it takes to start again.
    const RESTART: Duration = Duration::from_secs(20);

    /// Nothing was tried yet.
    pub fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            start: Instant::now(),
            locked: 0,
            lost: 0,
            unreachable: 0,
            unreachable_since: None,
            busy: 0,
            busy_since: None,
            pauses: Pauses {
                locked: ladder::pauses(limits.lock_tries),
                busy: backoff(),
                lost: backoff(),
            },
            is_single: false,
        }
    }

    /// Where a number is given, for one try at a schema, so many tries at which have met a lock before: whoever is in the way
    /// is not waited for.
    pub fn after(limits: &'a Limits, met: Option<usize>) -> Self {
        Self {
            locked: met.unwrap_or_default(),
            is_single: met.is_some(),
            ..Self::new(limits)
        }
    }

    /// How often it was tried, with the try that is running.
    pub fn tries(&self) -> usize {
        1 + self.locked + self.lost + self.unreachable + self.busy
    }

    /// How patient the try is that is next.
    pub fn rung(&self) -> Rung {
        Rung::after(self.locked, self.limits.lock_tries)
    }

    /// Whether a connection was lost on the way.
    pub fn has_reconnected(&self) -> bool {
        self.lost > 0
    }

    /// How long to wait before the next try; none when there is to be no other.
    pub fn delay(&mut self, fault: Fault) -> Option<Duration> {
        let now = Instant::now();
        match fault {
            Fault::Retry | Fault::Busy if self.is_single => None,
            Fault::Retry => {
                self.locked += 1;
                let pause = self.pauses.locked.next()?;
                let again = self.locked < self.limits.lock_tries
                    && now.duration_since(self.start) + pause < LONGEST;
                again.then_some(pause)
            }
            Fault::Busy => {
                self.busy += 1;
                // From when somebody else was first met there: to have waited for locks before takes nothing off.
                let since = *self.busy_since.get_or_insert(now);
                let left = self.limits.busy_wait.checked_sub(now - since)?;
                // The last look is at the end of the time, and not an unlucky pause before it.
                let pause = self.pauses.busy.next()?.min(left);
                (!left.is_zero()).then_some(pause)
            }
            Fault::Connection => {
                self.lost += 1;
                let again = self.lost <= Self::RECONNECTS;
                again.then(|| self.pauses.lost.next()).flatten()
            }
            _ => None,
        }
    }

    /// As [`Patience::delay`], after a server that could not be connected to.
    pub fn restart(&mut self) -> Option<Duration> {
        self.unreachable += 1;
        let since = *self.unreachable_since.get_or_insert_with(Instant::now);
        if since.elapsed() < Self::RESTART {
            self.pauses.lost.next()
        } else {
            None
        }
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(5))
        .with_factor(1.6)
        .with_jitter()
        .without_max_times()
        .build()
}

/// A pause from which on it is worth a warning that a schema is not to be had.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// One line for each try that was in vain, with who was in its way.
pub(super) fn tell(head: &Head, failure: &Failure, blockers: &[Blocker], pause: Duration) {
    let (schema, tries) = (&head.schema, failure.tries);
    let blockers: Vec<_> = blockers.iter().map(Blocker::without_query).collect();
    let blockers = blockers.join("; ");
    match failure.fault {
        Fault::Retry if pause >= LONG_PAUSE => {
            tracing::warn!(schema, tries, ?pause, blockers, "{failure}; trying again");
        }
        Fault::Retry => tracing::info!(schema, tries, ?pause, blockers, "{failure}; trying again"),
        _ => tracing::debug!(schema, tries, ?pause, blockers, "{failure}; trying again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(lock_tries: usize, busy_wait: Duration) -> Limits {
        Limits {
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::ZERO,
            grace: Duration::ZERO,
            lock_tries,
            busy_wait,
            extra_search_path: Vec::new(),
            also_writes: Vec::new(),
            group_time: Duration::ZERO,
            locks: 1,
            relations: 1,
            who: String::new(),
        }
    }

    #[test]
    fn a_server_that_starts_again_is_waited_for_longer_than_a_broken_connection() {
        let limits = limits(1, Duration::ZERO);
        let mut patience = Patience::new(&limits);
        let lost = std::iter::from_fn(|| patience.delay(Fault::Connection)).count();
        assert_eq!(lost, Patience::RECONNECTS);
        let refused: Duration = (0..8).filter_map(|_| patience.restart()).sum();
        assert!(refused > Duration::from_secs(3), "{refused:?}");
        patience.unreachable_since = Instant::now().checked_sub(Patience::RESTART);
        assert_eq!(patience.restart(), None);
    }

    #[test]
    fn each_lock_that_is_met_makes_the_next_try_more_patient_and_nothing_else_does() {
        let limits = limits(4, Duration::from_secs(60));
        let mut patience = Patience::new(&limits);
        let timeout = |patience: &Patience<'_>| patience.rung().lock_timeout(limits.lock_timeout);
        let first = timeout(&patience);
        assert!(patience.delay(Fault::Busy).is_some());
        assert!(patience.delay(Fault::Connection).is_some());
        assert_eq!(timeout(&patience), first);
        let mut tries = vec![first];
        while patience.delay(Fault::Retry).is_some() {
            tries.push(timeout(&patience));
        }
        assert_eq!(tries.len(), 4);
        assert!(tries.is_sorted_by(|a, b| a < b), "{tries:?}");
        assert_eq!(tries.last(), Some(&limits.lock_timeout));
        assert_eq!(patience.tries(), 1 + 4 + 2);
    }

    #[test]
    fn no_try_is_begun_after_a_quarter_of_an_hour() {
        let limits = limits(1000, Duration::ZERO);
        let mut patience = Patience::new(&limits);
        assert!(patience.delay(Fault::Retry).is_some());
        patience.start = Instant::now().checked_sub(LONGEST).unwrap();
        assert_eq!(patience.delay(Fault::Retry), None);
    }

    #[test]
    fn who_is_busy_is_come_back_to_for_so_long_and_no_longer() {
        let limits = limits(1, Duration::from_secs(60));
        let mut patience = Patience::new(&limits);
        patience.start = Instant::now().checked_sub(LONGEST).unwrap();
        assert!(patience.delay(Fault::Busy).is_some());
        patience.busy_since = Instant::now().checked_sub(Duration::from_millis(59_990));
        let last = patience.delay(Fault::Busy).unwrap();
        assert!(last <= Duration::from_millis(10), "{last:?}");
        patience.busy_since = Instant::now().checked_sub(Duration::from_secs(60));
        assert_eq!(patience.delay(Fault::Busy), None);
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        let limits = limits(12, Duration::from_secs(60));
        for fault in [
            Fault::Tenant,
            Fault::Author,
            Fault::Stale,
            Fault::Gone,
            Fault::Shard,
        ] {
            assert_eq!(Patience::new(&limits).delay(fault), None, "{fault:?}");
        }
    }
}
