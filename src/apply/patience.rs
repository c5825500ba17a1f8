//! How often and how long something is tried again: a little by what went wrong, never without a limit.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::Limits;
use crate::postgres::Fault;

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
    backoff: backon::ExponentialBackoff,
}

impl<'a> Patience<'a> {
    /// One message may lose its connection so often: it may be what brings the server down.
    const RECONNECTS: usize = 5;

    /// A server that takes no connections is waited for so long: longer than it takes to start again.
    const RESTART: Duration = Duration::from_secs(20);

    /// Nothing was tried yet.
    pub fn new(limits: &'a Limits) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(5))
            .with_factor(1.6)
            .with_jitter()
            .without_max_times()
            .build();
        Self {
            limits,
            start: Instant::now(),
            locked: 0,
            lost: 0,
            unreachable: 0,
            unreachable_since: None,
            busy: 0,
            backoff,
        }
    }

    /// How often it was tried, with the try that is running.
    pub fn tries(&self) -> usize {
        1 + self.locked + self.lost + self.unreachable + self.busy
    }

    /// Whether a connection was lost on the way.
    pub fn has_reconnected(&self) -> bool {
        self.lost > 0
    }

    /// How long to wait before the next try; none when there is to be no other.
    pub fn delay(&mut self, fault: Fault) -> Option<Duration> {
        let again = match fault {
            Fault::Retry => {
                self.locked += 1;
                self.locked < self.limits.lock_tries
            }
            Fault::Busy => {
                self.busy += 1;
                self.start.elapsed() < self.limits.busy_wait
            }
            Fault::Connection => {
                self.lost += 1;
                self.lost <= Self::RECONNECTS
            }
            _ => false,
        };
        if again { self.backoff.next() } else { None }
    }

    /// As [`Patience::delay`], after a server that could not be connected to.
    pub fn restart(&mut self) -> Option<Duration> {
        self.unreachable += 1;
        let since = *self.unreachable_since.get_or_insert_with(Instant::now);
        if since.elapsed() < Self::RESTART {
            self.backoff.next()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_starts_again_is_waited_for_longer_than_a_broken_connection() {
        let limits = Limits {
            lock_timeout: Duration::ZERO,
            statement_timeout: Duration::ZERO,
            grace: Duration::ZERO,
            lock_tries: 1,
            busy_wait: Duration::ZERO,
            extra_search_path: Vec::new(),
            also_writes: Vec::new(),
            group_time: Duration::ZERO,
            locks: 1,
            who: String::new(),
        };
        let mut patience = Patience::new(&limits);
        let lost = std::iter::from_fn(|| patience.delay(Fault::Connection)).count();
        assert_eq!(lost, Patience::RECONNECTS);
        let refused: Duration = (0..8).filter_map(|_| patience.restart()).sum();
        assert!(refused > Duration::from_secs(3), "{refused:?}");
        patience.unreachable_since = Instant::now().checked_sub(Patience::RESTART);
        assert_eq!(patience.restart(), None);
    }
}
