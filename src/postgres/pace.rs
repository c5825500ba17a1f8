//! How many statements of migrations a second are begun on a shard: by this process, and by those that share it.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// So many a second, by all that share it together.
pub(super) struct Pace {
    limiter: DefaultDirectRateLimiter,
    sharers: AtomicUsize,
}

impl Pace {
    /// For this process alone; none for as many as can be.
    pub(super) fn new(statements: u32) -> Option<Self> {
        // No burst: what has not been used of one second is not for the next.
        let quota = |each| Quota::per_second(each).allow_burst(NonZeroU32::MIN);
        Some(Self {
            limiter: RateLimiter::direct(quota(NonZeroU32::new(statements)?)),
            sharers: AtomicUsize::new(1),
        })
    }

    /// From now on so many processes share it, this one among them.
    pub(super) fn share(&self, sharers: usize) {
        self.sharers.store(sharers.max(1), Ordering::Relaxed);
    }

    /// Waits until so many statements more may be begun.
    pub(super) async fn wait_for(&self, statements: u32) {
        // One at a time: a message may have more of them than a second allows.
        for _ in 0..statements {
            self.wait().await;
        }
    }

    /// For one of our own, one of each of the others is let pass.
    async fn wait(&self) {
        let mut passed = 0;
        while passed < self.sharers.load(Ordering::Relaxed) {
            self.limiter.until_ready().await;
            passed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    async fn took(pace: &Pace, statements: u32) -> Duration {
        let start = Instant::now();
        pace.wait_for(statements).await;
        start.elapsed()
    }

    #[tokio::test]
    async fn each_of_those_who_share_it_begins_its_part() {
        let pace = Pace::new(40).unwrap();
        pace.share(4);
        // 20 fortieths of a second, the first at once.
        let shared = took(&pace, 5).await;
        assert!(shared >= Duration::from_millis(450), "{shared:?}");
        // Nobody else is left: the whole again, at once.
        pace.share(0);
        let alone = took(&pace, 5).await;
        assert!(alone >= Duration::from_millis(100), "{alone:?}");
        assert!(alone < shared, "{alone:?}, {shared:?}");
    }

    #[test]
    fn without_a_limit_there_is_none() {
        assert!(Pace::new(0).is_none());
    }
}
