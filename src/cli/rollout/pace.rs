//! How fast a wave goes, from what the last looks have seen: nothing that stood still is said to go on.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What was seen for so long counts.
const WINDOW: Duration = Duration::from_secs(10);

/// The looks of the last moments: when, and how many runs had ended.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seen: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// So many runs have ended now.
    pub(super) fn see(&mut self, now: Instant, ended: u64) {
        // A retry takes back what had ended: what was seen before tells nothing any more.
        if self.seen.back().is_some_and(|(_, before)| *before > ended) {
            self.seen.clear();
        }
        self.seen.push_back((now, ended));
        // One look at the edge stays, so that the window is filled.
        while let Some((second, _)) = self.seen.get(1)
            && now.duration_since(*second) >= WINDOW
        {
            self.seen.pop_front();
        }
    }

    /// How many runs have ended a second; none as long as too little was seen.
    pub(super) fn rate(&self) -> Option<f64> {
        let ((first, before), (last, after)) = (self.seen.front()?, self.seen.back()?);
        let seconds = last.duration_since(*first).as_secs_f64();
        let ended = u32::try_from(after - before).unwrap_or(u32::MAX);
        (seconds > 0.0).then(|| f64::from(ended) / seconds)
    }

    /// How long so many runs will take at this pace; none where nothing moves.
    pub(super) fn left(&self, runs: u64) -> Option<Duration> {
        let rate = self.rate().filter(|rate| *rate > 0.0)?;
        let runs = u32::try_from(runs).unwrap_or(u32::MAX);
        Duration::try_from_secs_f64(f64::from(runs) / rate).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pace after one look a second, each with so many ended.
    fn pace(ended: &[u64]) -> Pace {
        let (start, mut pace) = (Instant::now(), Pace::default());
        for (second, ended) in (0..).zip(ended) {
            pace.see(start + Duration::from_secs(second), *ended);
        }
        pace
    }

    #[test]
    fn what_stands_still_has_no_rate_and_no_time_left() {
        let moving = pace(&[0, 10, 20, 30]);
        assert_eq!(moving.rate(), Some(10.0));
        assert_eq!(moving.left(50), Some(Duration::from_secs(5)));
        let still = [&[0, 600][..], &[600; 11]].concat();
        let still = pace(&still);
        assert_eq!(still.rate(), Some(0.0));
        assert_eq!(still.left(50), None);
        // Neither has one that was looked at once.
        assert_eq!(pace(&[7]).rate(), None);
        assert_eq!(pace(&[7]).left(1), None);
    }

    #[test]
    fn it_begins_anew_where_a_retry_takes_back_what_had_ended() {
        assert_eq!(pace(&[0, 50, 100, 90]).rate(), None);
        assert_eq!(pace(&[0, 50, 100, 90, 95]).rate(), Some(5.0));
    }
}
