//! Loops that take no input: each looks at how things are, and brings them nearer to how they should be.
//!
//! Knows nothing of migrations. A pass may be cut off between two things, never within one.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::telemetry::metrics;

/// One pass, running. It waits for databases all the time, so that one thread is enough for all of them.
pub type Passing<'a> = LocalBoxFuture<'a, anyhow::Result<Next>>;

/// Something that brings things nearer to how they should be, whatever happened before.
pub trait Reconciler {
    /// Its name in the log.
    fn name(&self) -> &'static str;

    /// Looks, and does what there is to do. When `stop` is cancelled it begins nothing more.
    ///
    /// # Errors
    /// Where it could not look, or could do nothing at all; it is asked again a little later.
    fn pass<'a>(&'a self, stop: &'a CancellationToken) -> Passing<'a>;
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// After the interval.
    Later,
    /// After this time: somebody else is at it, or has done it.
    In(Duration),
    /// Never: it was a thing to be done once.
    Never,
}

/// A reconciler and what its loop needs.
pub struct Loop<R> {
    reconciler: R,
    interval: Duration,
    news: Option<watch::Receiver<u64>>,
}

/// Nothing is asked for without a pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl<R: Reconciler> Loop<R> {
    /// A loop that looks every `interval`.
    pub fn new(reconciler: R, interval: Duration) -> Self {
        Self {
            reconciler,
            interval,
            news: None,
        }
    }

    /// Looks at once, too, whenever `news` has changed.
    #[must_use]
    pub fn woken_by(self, news: watch::Receiver<u64>) -> Self {
        Self {
            news: Some(news),
            ..self
        }
    }

    /// Pass after pass, until there is nothing more to do or `stop` is cancelled; a pass that runs then ends by itself.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = backoff();
        while !stop.is_cancelled() {
            // What changes from here on is looked at once more.
            self.news
                .iter_mut()
                .for_each(watch::Receiver::mark_unchanged);
            let pause = match self.pass(&stop).await {
                Some(Next::Never) => return,
                Some(Next::Later) => {
                    backoff = self::backoff();
                    self.interval
                }
                Some(Next::In(pause)) => {
                    backoff = self::backoff();
                    pause.max(SHORTEST_PAUSE)
                }
                None => backoff.next().unwrap_or(LONGEST_PAUSE),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = changed(self.news.as_mut()) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One pass; none where it failed.
    async fn pass(&self, stop: &CancellationToken) -> Option<Next> {
        let passed = self.reconciler.pass(stop).await;
        if let Err(error) = &passed {
            metrics::pass_failed(self.reconciler.name());
            // With its causes, on one line.
            tracing::warn!(
                reconciler = self.reconciler.name(),
                "{error:#}; trying again"
            );
        }
        passed.ok()
    }
}

async fn changed(news: Option<&mut watch::Receiver<u64>>) {
    let Some(news) = news else {
        return std::future::pending().await;
    };
    // Nobody is left to tell.
    if news.changed().await.is_err() {
        std::future::pending().await
    }
}

fn backoff() -> backon::ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Ends its passes as it was told, one after the other, and asks to stop where nothing is left to be told.
    struct Script(Mutex<Vec<anyhow::Result<Next>>>, CancellationToken);

    impl Reconciler for Script {
        fn name(&self) -> &'static str {
            "script"
        }

        fn pass<'a>(&'a self, _stop: &'a CancellationToken) -> Passing<'a> {
            let mut left = self.0.lock().unwrap();
            let next = left.remove(0);
            if left.is_empty() {
                self.1.cancel();
            }
            Box::pin(async { next })
        }
    }

    fn script(passes: Vec<anyhow::Result<Next>>, last: &CancellationToken) -> Loop<Script> {
        let script = Script(Mutex::new(passes), last.clone());
        Loop::new(script, Duration::from_secs(3600))
    }

    #[tokio::test]
    async fn goes_on_after_errors_and_ends_when_nothing_is_left() {
        let failed = || Err(anyhow::anyhow!("no server"));
        let last = CancellationToken::new();
        let script = script(
            vec![
                failed(),
                Ok(Next::In(Duration::ZERO)),
                failed(),
                Ok(Next::Never),
            ],
            &last,
        );
        script.run(CancellationToken::new()).await;
        assert!(last.is_cancelled());
    }

    #[tokio::test]
    async fn is_stopped_in_its_pause() {
        let stop = CancellationToken::new();
        script(vec![Ok(Next::Later)], &stop).run(stop.clone()).await;
        assert!(stop.is_cancelled());
    }
}
