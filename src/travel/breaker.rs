//! The breaker of one database: opens when the database is unwell, so that it is left alone and nobody else waits for it.
//!
//! After a pause one run is let through as a probe. When it goes well, all go on; when several in a row do not, the
//! database is given up for this run.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::postgres::Fault;

/// Whether work on one database may go on.
#[derive(Debug)]
pub struct Breaker {
    pause: Duration,
    state: Mutex<State>,
    /// Wakes those that wait when the state has changed.
    changed: Notify,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// All is well.
    #[default]
    Closed,
    /// Nobody is let through before `until`, and then one.
    Open { probes: u32, until: Instant },
    /// One is let through, and the others wait for how it ends.
    Probing { probes: u32 },
    /// Nobody is let through any more.
    GivenUp,
}

impl Breaker {
    /// So many probes in a row may fail.
    pub const PROBES: u32 = 3;

    /// The pause before the first probe; each further one is twice as long. With all of them a server that was short of
    /// something has had 7 seconds.
    pub const PAUSE: Duration = Duration::from_secs(1);

    /// A closed one that pauses so long before its first probe.
    pub fn new(pause: Duration) -> Self {
        Self {
            pause,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Whether a fault tells of the database, and not of what was done on it.
    pub fn is_opened_by(fault: Fault) -> bool {
        matches!(fault, Fault::Shard | Fault::Connection)
    }

    /// Waits until a run may be begun. False when none may be any more, or `halt` is cancelled first.
    ///
    /// Whoever is let through has to say how it ended, by [`Breaker::well`] or [`Breaker::unwell`]. Those who come `again`
    /// let others be the probe before them: what ails may be theirs alone.
    pub async fn admit(&self, again: bool, halt: &CancellationToken) -> bool {
        let courtesy = if again {
            self.pause / 4
        } else {
            Duration::ZERO
        };
        loop {
            let changed = self.changed.notified();
            let until = {
                let mut state = self.state();
                match *state {
                    State::Closed => return true,
                    State::GivenUp => return false,
                    State::Open { probes, until } if until + courtesy <= Instant::now() => {
                        *state = State::Probing { probes };
                        return true;
                    }
                    State::Open { until, .. } => Some(until + courtesy),
                    State::Probing { .. } => None,
                }
            };
            let pause = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = pause => {}
                () = halt.cancelled() => return false,
            }
        }
    }

    /// A run has ended, and not because of the database. Those that ended while it is open were begun before, and tell
    /// nothing of it as it is now.
    pub fn well(&self) {
        let mut state = self.state();
        if matches!(*state, State::Probing { .. }) {
            *state = State::Closed;
            self.changed.notify_waiters();
        }
    }

    /// A run has ended because of the database.
    pub fn unwell(&self, fault: Fault) {
        let mut state = self.state();
        let next = match *state {
            // Whoever carried it has waited as long as a server takes to start again.
            _ if fault == Fault::Connection => State::GivenUp,
            State::Closed => State::Open {
                probes: 0,
                until: Instant::now() + self.pause,
            },
            State::Probing { probes } if probes + 1 < Self::PROBES => State::Open {
                probes: probes + 1,
                until: Instant::now() + self.pause * 2_u32.pow(probes + 1),
            },
            State::Probing { .. } => State::GivenUp,
            open => open,
        };
        *state = next;
        self.changed.notify_waiters();
    }

    /// Whether the database is given up for this run.
    pub fn is_given_up(&self) -> bool {
        *self.state() == State::GivenUp
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(3600);

    /// What a breaker says without waiting.
    fn at_once(breaker: &Breaker) -> Option<bool> {
        breaker
            .admit(false, &CancellationToken::new())
            .now_or_never()
    }

    #[tokio::test]
    async fn lets_one_through_after_a_pause_and_all_when_that_went_well() {
        let breaker = Breaker::new(SHORT);
        assert_eq!(at_once(&breaker), Some(true));
        breaker.unwell(Fault::Shard);
        // Those that were under way fail the same way: they are no probes.
        (0..10).for_each(|_| breaker.unwell(Fault::Shard));
        breaker.well();
        let halt = CancellationToken::new();
        assert!(breaker.admit(false, &halt).await);
        let second = breaker.admit(true, &halt);
        tokio::pin!(second);
        assert!(second.as_mut().now_or_never().is_none());
        breaker.well();
        assert!(second.await);
        assert_eq!(at_once(&breaker), Some(true));
    }

    #[tokio::test]
    async fn gives_up_when_probes_keep_failing() {
        let breaker = Breaker::new(SHORT);
        let (halt, mut probes) = (CancellationToken::new(), 0);
        breaker.unwell(Fault::Shard);
        while breaker.admit(true, &halt).await {
            probes += 1;
            breaker.unwell(Fault::Shard);
        }
        assert_eq!(probes, Breaker::PROBES);
        assert!(breaker.is_given_up());
        breaker.well();
        assert_eq!(at_once(&breaker), Some(false));
    }

    #[tokio::test]
    async fn a_connection_was_waited_for_before() {
        let breaker = Breaker::new(LONG);
        breaker.unwell(Fault::Connection);
        assert_eq!(at_once(&breaker), Some(false));
    }

    #[tokio::test]
    async fn nobody_is_let_through_in_the_pause_and_nobody_waits_who_is_asked_to_stop() {
        let (breaker, halt) = (Breaker::new(LONG), CancellationToken::new());
        breaker.unwell(Fault::Shard);
        let waiting = breaker.admit(false, &halt);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        halt.cancel();
        assert!(!waiting.await);
    }
}
