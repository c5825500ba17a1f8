//! How long a try may wait for a lock, and how long to leave the schema alone before the next one.
//!
//! Whoever comes after a waiting `ALTER` waits behind it, readers as well. So the first tries hardly wait, and only who is
//! blocked for long is waited for as long as is allowed. Never without a limit, however the settings are.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// What the first of several tries may wait, where the limit is not lower.
const FIRST_TIMEOUT: Duration = Duration::from_millis(200);

/// The pause after the first try, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// By so much a pause may be longer than the one before: few tries are soon over.
const STEEPEST: f32 = 4.0;

/// No try is begun later than this after the first one.
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// How patient one try is: its place among all tries that there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Counted from 0.
    number: usize,
    /// At least 1.
    of: usize,
}

impl Rung {
    /// The first of so many tries. The only one is as patient as is allowed.
    pub fn first(tries: usize) -> Self {
        Self {
            number: 0,
            of: tries.max(1),
        }
    }

    /// The try after so many that met a lock; the last one where there is none any more.
    pub(super) fn after(met: usize, tries: usize) -> Self {
        let of = tries.max(1);
        Self {
            number: met.min(of - 1),
            of,
        }
    }

    /// How long a statement of this try may wait for a lock, where the most patient one may wait for `limit`: at least a
    /// millisecond, since PostgreSQL takes 0 for "no limit".
    pub fn lock_timeout(self, limit: Duration) -> Duration {
        let limit = limit.max(Duration::from_millis(1));
        let last = self.of - 1;
        if self.number >= last || limit <= FIRST_TIMEOUT {
            return limit;
        }
        let growth = limit.as_secs_f64() / FIRST_TIMEOUT.as_secs_f64();
        let share = self.number as f64 / last as f64;
        FIRST_TIMEOUT.mul_f64(growth.powf(share)).min(limit)
    }
}

/// How long to leave a schema alone after the try that was the `met`th of so many to meet a lock.
pub fn pause(met: usize, tries: usize) -> Duration {
    let nth = pauses(tries).nth(met.saturating_sub(1));
    nth.unwrap_or(PAUSES.1)
}

/// The pauses between so many tries: growing, and never in step with those of others.
pub(super) fn pauses(tries: usize) -> Pauses {
    let (first, longest) = (PAUSES.0.as_secs_f32(), PAUSES.1.as_secs_f32());
    // Between n tries there are n - 1 pauses, and the last of them is the longest, where there are enough to get there.
    let steps = tries.saturating_sub(2).max(1) as f32;
    let factor = (longest / first).powf(1.0 / steps).min(STEEPEST);
    let backoff = ExponentialBuilder::default()
        .with_min_delay(PAUSES.0)
        .with_max_delay(PAUSES.1)
        .with_factor(factor)
        .with_jitter()
        .without_max_times()
        .build();
    Pauses(backoff)
}

/// Jitter makes a pause longer by as much again, but not longer than the longest.
#[derive(Debug)]
pub(super) struct Pauses(backon::ExponentialBackoff);

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(PAUSES.1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timeouts(tries: usize, limit: Duration) -> Vec<Duration> {
        let rungs = (0..tries).map(|met| Rung::after(met, tries));
        rungs.map(|rung| rung.lock_timeout(limit)).collect()
    }

    #[test]
    fn twelve_tries_grow_to_the_limit() {
        let timeouts = timeouts(12, Duration::from_secs(2));
        let milliseconds: Vec<_> = timeouts.iter().map(Duration::as_millis).collect();
        assert_eq!(
            milliseconds,
            [
                200, 246, 303, 374, 462, 569, 702, 865, 1067, 1315, 1622, 2000
            ]
        );
    }

    #[test]
    fn the_only_try_is_as_patient_as_is_allowed() {
        let limit = Duration::from_secs(7);
        assert_eq!(Rung::first(1).lock_timeout(limit), limit);
        assert_eq!(Rung::first(0).lock_timeout(limit), limit);
        assert!(Rung::first(2).lock_timeout(limit) < limit);
    }

    #[test]
    fn all_tries_together_take_no_longer_than_a_quarter_of_an_hour() {
        let waits: Duration = timeouts(12, Duration::from_secs(2)).iter().sum();
        let longest: Duration = pauses(12).take(11).sum();
        assert!(waits + longest < LONGEST, "{:?}", waits + longest);
    }

    #[test]
    fn few_tries_are_soon_over() {
        let longest: Duration = pauses(3).take(2).sum();
        assert!(longest <= Duration::from_secs(2), "{longest:?}");
    }

    proptest! {
        #[test]
        fn no_try_is_without_a_limit_and_none_is_less_patient_than_the_one_before(
            tries in 1_usize..200, limit in 0_u64..100_000_000,
        ) {
            let limit = Duration::from_millis(limit);
            let timeouts = timeouts(tries, limit);
            let highest = limit.max(Duration::from_millis(1));
            prop_assert!(timeouts.iter().all(|t| (Duration::from_millis(1)..=highest).contains(t)));
            prop_assert!(timeouts.is_sorted());
            prop_assert_eq!(timeouts.last(), Some(&highest));
        }

        #[test]
        fn pauses_stay_within_their_bounds(tries in 0_usize..200) {
            let some: Vec<_> = pauses(tries).take(tries + 1).collect();
            prop_assert!(some.iter().all(|pause| (PAUSES.0..=PAUSES.1).contains(pause)));
        }
    }
}
