//! Runs as they end, written to the home database a few at a time: whatever has ended while the last few were written.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::Fleet,
    postgres::Session,
    store::runs::{Of, Outcome, report},
};

/// The pause after the home database could not be reached.
const PAUSE: Duration = Duration::from_millis(500);

/// What has ended is written so much later at most, so that few messages tell of many runs.
const LINGER: Duration = Duration::from_millis(20);

/// What has ended and is not written yet.
#[derive(Debug, Default)]
pub(super) struct Desk {
    ended: Mutex<Vec<Outcome>>,
    more: Notify,
}

impl Desk {
    /// One run has ended.
    pub(super) fn put(&self, outcome: Outcome) {
        self.ended().push(outcome);
        self.more.notify_one();
    }

    /// Writes what ends until `last` is cancelled and nothing is left. Gives up when `over` is: others see then for themselves
    /// how those runs ended.
    pub(super) async fn write(
        &self,
        fleet: &Fleet,
        of: Of,
        daemon: i64,
        last: &CancellationToken,
        over: &CancellationToken,
    ) {
        let mut session: Option<Session> = None;
        loop {
            let ended = std::mem::take(&mut *self.ended());
            if ended.is_empty() {
                if last.is_cancelled() {
                    break;
                }
                let more = async {
                    self.more.notified().await;
                    tokio::time::sleep(LINGER).await;
                };
                let _ = last.run_until_cancelled(more).await;
                continue;
            }
            if let Err(error) = put(fleet, &mut session, of, daemon, &ended).await {
                tracing::warn!(%error, "how runs ended could not be written; trying again");
                session = None;
                self.ended().splice(0..0, ended);
                let pause = tokio::time::sleep(PAUSE);
                if over.run_until_cancelled(pause).await.is_none() {
                    break;
                }
            }
        }
        if let Some(session) = session {
            session.close().await;
        }
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn put(
    fleet: &Fleet,
    session: &mut Option<Session>,
    of: Of,
    daemon: i64,
    ended: &[Outcome],
) -> Result<(), crate::fleet::FleetError> {
    let session = match session {
        Some(session) => session,
        None => session.insert(fleet.home().await?),
    };
    Ok(report(session.connection(), of, daemon, ended).await?)
}
