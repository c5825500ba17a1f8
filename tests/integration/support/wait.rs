//! Waiting for something instead of for some time.

use std::time::{Duration, Instant};

/// Waits until something is so; fails the test, naming `what`, when it is not within 20 seconds.
pub(crate) async fn until(what: &str, so: impl AsyncFnMut() -> bool) {
    until_within(Duration::from_secs(20), what, so).await;
}

/// The same for what may take longer.
pub(crate) async fn until_within(limit: Duration, what: &str, mut so: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + limit;
    while !so().await {
        assert!(Instant::now() < give_up, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
