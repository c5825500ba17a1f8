//! Loops that take no input: each looks at how things are, and brings them nearer to how they should be.
//!
//! Knows nothing of migrations. A pass may be cut off between two things, never within one.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::LocalBoxFuture;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

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
    /// After the interval, or when somebody wakes it.
    Later,
    /// Never: it was a thing to be done once.
    Never,
}

/// How a reconciler is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Passes that ended without an error.
    pub passes: u64,
    /// When the last pass ended.
    pub last_pass: Option<Timestamp>,
    /// Why the last pass ended early; none where it did not.
    pub last_error: Option<String>,
}

/// Asks a loop to look now.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Looks now, or again after the pass that is running.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// A reconciler and what its loop needs.
pub struct Loop<R> {
    reconciler: R,
    interval: Duration,
    waker: Waker,
    status: watch::Sender<Status>,
}

/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl<R: Reconciler> Loop<R> {
    /// A loop that looks every `interval`.
    pub fn new(reconciler: R, interval: Duration) -> Self {
        Self {
            reconciler,
            interval,
            waker: Waker::default(),
            status: watch::Sender::default(),
        }
    }

    /// Asks it to look now.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// How it is doing, from now on.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Pass after pass, until there is nothing more to do or `stop` is cancelled; a pass that runs then ends by itself.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = backoff();
        while !stop.is_cancelled() {
            let pause = match self.pass(&stop).await {
                Some(Next::Never) => return,
                Some(Next::Later) => {
                    backoff = self::backoff();
                    self.interval
                }
                None => backoff.next().unwrap_or(LONGEST_PAUSE),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.waker.0.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One pass; none where it failed.
    async fn pass(&self, stop: &CancellationToken) -> Option<Next> {
        let passed = self.reconciler.pass(stop).await;
        // With its causes, on one line.
        let error = passed.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            tracing::warn!(reconciler = self.reconciler.name(), "{error}; trying again");
        }
        self.status.send_modify(|status| {
            status.passes += u64::from(error.is_none());
            status.last_pass = Some(Timestamp::now());
            status.last_error = error;
        });
        passed.ok()
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

    /// Ends its passes as it was told, one after the other.
    struct Script(Mutex<Vec<anyhow::Result<Next>>>);

    impl Reconciler for Script {
        fn name(&self) -> &'static str {
            "script"
        }

        fn pass<'a>(&'a self, _stop: &'a CancellationToken) -> Passing<'a> {
            Box::pin(async { self.0.lock().unwrap().remove(0) })
        }
    }

    fn script(passes: Vec<anyhow::Result<Next>>) -> Loop<Script> {
        Loop::new(Script(Mutex::new(passes)), Duration::from_secs(3600))
    }

    #[tokio::test]
    async fn goes_on_after_errors_and_ends_when_nothing_is_left() {
        let failed = || Err(anyhow::anyhow!("no server").context("cannot look"));
        let script = script(vec![failed(), failed(), Ok(Next::Never)]);
        let mut status = script.status();
        let watch = async {
            let first = status.wait_for(|status| status.last_error.is_some()).await;
            let error = first.unwrap().last_error.clone();
            assert_eq!(error.as_deref(), Some("cannot look: no server"));
            let last = status.wait_for(|status| status.passes == 1).await;
            assert_eq!(last.unwrap().last_error, None);
        };
        futures::join!(script.run(CancellationToken::new()), watch);
    }

    #[tokio::test]
    async fn is_woken_and_stopped_in_its_pause() {
        let script = script(vec![Ok(Next::Later), Ok(Next::Later)]);
        let (waker, mut status) = (script.waker(), script.status());
        let stop = CancellationToken::new();
        let wake = async {
            status.wait_for(|status| status.passes == 1).await.unwrap();
            waker.wake();
            status.wait_for(|status| status.passes == 2).await.unwrap();
            stop.cancel();
        };
        futures::join!(script.run(stop.clone()), wake);
    }
}
