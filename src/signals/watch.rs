//! Watching a server: which signals are above their thresholds, and for how long they have to be below again.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::{SIGNALS, Signal};
use crate::{config::Load, postgres::Connection};

/// A signal that cannot be read is believed for so long, and then is a reason to wait itself.
const STALE: Duration = Duration::from_secs(15);

/// Once above its threshold, a signal has to fall to this share of it.
const RELEASE: f64 = 0.5;

/// What was seen of one server.
#[derive(Debug)]
pub struct Watch {
    seen: Vec<Seen>,
}

/// What was seen of one signal.
struct Seen {
    signal: &'static dyn Signal,
    threshold: f64,
    /// The last value read, of a counter as it stood.
    last: Option<(Instant, f64)>,
    /// The last value that counts.
    value: f64,
    holds: bool,
    since: Instant,
    error: Option<String>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} of {}",
            self.signal.name(),
            self.value,
            self.threshold
        )
    }
}

/// Why to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold(Vec<String>);

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl Watch {
    /// Nothing was seen yet, and nothing holds.
    pub fn new(load: &Load) -> Self {
        let now = Instant::now();
        let seen = SIGNALS.into_iter().filter_map(|signal| {
            Some(Seen {
                signal,
                threshold: signal.threshold(load)?,
                last: None,
                value: 0.0,
                holds: false,
                since: now,
                error: None,
            })
        });
        Self {
            seen: seen.collect(),
        }
    }

    /// Whether nobody wants to know anything.
    pub fn is_idle(&self) -> bool {
        self.seen.is_empty()
    }

    /// Reads all signals.
    pub async fn look(&mut self, connection: &mut Connection) {
        for seen in &mut self.seen {
            match seen.signal.read(connection).await {
                Ok(value) => seen.take(Instant::now(), value),
                Err(error) => seen.error = Some(error.message),
            }
        }
    }

    /// Whether the last look saw nothing at all.
    pub fn is_blind(&self) -> bool {
        self.seen.iter().all(|seen| seen.error.is_some())
    }

    /// The server could not be asked at all.
    pub fn miss(&mut self, why: &str) {
        for seen in &mut self.seen {
            seen.error = Some(why.to_owned());
        }
    }

    /// Every reason to wait; none where there is none.
    pub fn hold(&self) -> Option<Hold> {
        self.hold_at(Instant::now())
    }

    fn hold_at(&self, now: Instant) -> Option<Hold> {
        let reasons: Vec<_> = self
            .seen
            .iter()
            .filter_map(|seen| seen.reason(now))
            .collect();
        (!reasons.is_empty()).then_some(Hold(reasons))
    }
}

impl Seen {
    fn take(&mut self, now: Instant, value: f64) {
        let before = self.last.replace((now, value));
        (self.since, self.error) = (now, None);
        self.value = match before {
            _ if !self.signal.is_counter() => value,
            Some((then, before)) if now > then => {
                (value - before).max(0.0) / (now - then).as_secs_f64()
            }
            _ => 0.0,
        };
        let limit = if self.holds {
            self.threshold * RELEASE
        } else {
            self.threshold
        };
        self.holds = self.value > limit;
    }

    fn reason(&self, now: Instant) -> Option<String> {
        let (name, unit) = (self.signal.name(), self.signal.unit());
        if now - self.since > STALE {
            let why = self.error.as_deref().unwrap_or("no answer");
            return Some(format!("{name} cannot be observed: {why}"));
        }
        let (value, threshold) = (self.value, self.threshold);
        self.holds
            .then(|| format!("{name} {value:.1}{unit}, above {threshold:.0}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new(&Load {
            replica_lag: Duration::from_secs(10),
            lock_waiters: 0,
            active_sessions: 0,
            wal_mib_per_second: 100,
        })
    }

    fn said(watch: &Watch, now: Instant) -> Option<String> {
        watch.hold_at(now).map(|hold| hold.to_string())
    }

    #[test]
    fn what_is_above_holds_until_it_is_at_half() {
        let (mut watch, now) = (watch(), Instant::now());
        assert_eq!(watch.seen.len(), 2);
        let values = [
            (9.0, false),
            (11.0, true),
            (6.0, true),
            (5.0, false),
            (9.0, false),
        ];
        for (value, holds) in values {
            watch.seen[0].take(now, value);
            assert_eq!(watch.hold_at(now).is_some(), holds, "{value}");
        }
    }

    #[test]
    fn of_a_counter_the_rate_counts() {
        let (mut watch, now) = (watch(), Instant::now());
        watch.seen[1].take(now, 1_000_000.0);
        assert_eq!(said(&watch, now), None);
        let now = now + Duration::from_secs(2);
        watch.seen[1].take(now, 1_000_300.0);
        let expected = "WAL written 150.0 MiB/s, above 100 MiB/s";
        assert_eq!(said(&watch, now).unwrap(), expected);
        // The server began anew.
        let now = now + Duration::from_secs(1);
        watch.seen[1].take(now, 10.0);
        assert_eq!(said(&watch, now), None);
    }

    #[test]
    fn what_cannot_be_observed_is_a_reason_to_wait_after_a_while() {
        let (mut watch, now) = (watch(), Instant::now());
        watch.miss("no route");
        assert_eq!(said(&watch, now), None);
        let expected =
            "replica lag cannot be observed: no route; WAL written cannot be observed: no route";
        let late = now + STALE + Duration::from_secs(1);
        assert_eq!(said(&watch, late).unwrap(), expected);
    }

    #[test]
    fn every_signal_can_be_switched_off() {
        let off = Load {
            replica_lag: Duration::ZERO,
            lock_waiters: 0,
            active_sessions: 0,
            wal_mib_per_second: 0,
        };
        assert!(Watch::new(&off).is_idle());
    }
}
