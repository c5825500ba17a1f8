//! A second connection to the same database: to look at what a session waits for, and to end what it runs.
//!
//! A future that is dropped cancels nothing in PostgreSQL, and a connection that waits for its answer cannot be asked
//! anything. So whoever gives up on a statement comes here. Nothing in here waits without an end.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Blocker, Connection, ServerError, blockers::waits};

/// What a backend runs has to begin like the message that it was sent, for so many characters: they hold the schema's OID
/// and its revision. A process ID alone may be another's by now, or a pooler's.
const PREFIX: usize = 256;

/// Servers may be set to show less of a query than that, but never less than this.
const SHOWN: i32 = 60;

/// How long a cancelled statement has to end by itself before its backend is terminated.
const CANCELLING: Duration = Duration::from_secs(1);

/// How long a backend may take to end in all.
const ENDING: Duration = Duration::from_secs(5);

/// How often it is looked at meanwhile.
const LOOKS: Duration = Duration::from_millis(20);

/// The way to a second connection, which the sessions on one database share.
#[derive(Clone)]
pub(super) struct Side {
    // Never in a log: the driver prints the password with the options.
    options: PgConnectOptions,
    timeout: Duration,
    shared: Arc<Mutex<Option<Connection>>>,
    cut: CancellationToken,
}

/// What a backend is doing with the message that it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is at it; these are in its way.
    Running(Vec<Blocker>),
    /// It is not, whatever it does.
    Elsewhere,
}

impl Side {
    /// Opens nothing yet. `cut` is cancelled when everything that runs is to be cancelled.
    pub(super) fn new(options: PgConnectOptions, cut: CancellationToken) -> Self {
        Self {
            options,
            timeout: Duration::from_secs(10),
            shared: Arc::default(),
            cut,
        }
    }

    /// The same by another way.
    pub(super) fn via(self, options: PgConnectOptions) -> Self {
        Self { options, ..self }
    }

    /// How long one connection, and one query on it, may take.
    pub(super) fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Cancelled when everything that runs is to be cancelled.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// The same way, cut off with others.
    pub(super) fn cut_with(&mut self, cut: CancellationToken) {
        self.cut = cut;
    }

    /// What the backend `pid` is doing with `message`.
    pub(super) async fn look(&self, pid: i32, message: &str) -> Result<Seen, ServerError> {
        self.ask(async |connection| {
            let waits_for_lock: Option<bool> = sqlx::query_scalar(
                "select coalesce(a.wait_event_type = 'Lock', false) from pg_catalog.pg_stat_get_activity($1) a
                  where a.state = 'active'
                    and pg_catalog.starts_with($2, pg_catalog.left(a.query, pg_catalog.length($2)))
                    and pg_catalog.length(a.query) >= least(pg_catalog.length($2), $3)",
            )
            .bind(pid)
            .bind(beginning(message))
            .bind(SHOWN)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|error| ServerError::of(&error))?;
            Ok(match waits_for_lock {
                None => Seen::Elsewhere,
                Some(false) => Seen::Running(Vec::new()),
                Some(true) => {
                    let waits = waits(connection, Some(pid)).await?;
                    Seen::Running(waits.into_iter().flat_map(|wait| wait.blockers()).collect())
                }
            })
        })
        .await
    }

    /// Ends the backend `pid`, if it is the one that was sent `message`: cancels, then terminates. False when it would not
    /// end, as in the midst of a COMMIT that waits for a standby.
    pub(super) async fn end(&self, pid: i32, message: &str) -> Result<bool, ServerError> {
        let start = Instant::now();
        if !self.signal(pid, message, Signal::Cancel).await? {
            return Ok(true);
        }
        while start.elapsed() < CANCELLING && self.is_active(pid, message).await? {
            sleep(LOOKS).await;
        }
        while start.elapsed() < ENDING {
            // It may be idle by now, and does not know that nobody listens any more.
            if !self.signal(pid, message, Signal::Terminate).await? {
                return Ok(true);
            }
            sleep(LOOKS).await;
        }
        Ok(false)
    }

    /// Cancels what the backend `pid` runs, if it is the one that was sent `message`. False when there is no such backend.
    pub(super) async fn cancel(&self, pid: i32, message: &str) -> Result<bool, ServerError> {
        self.signal(pid, message, Signal::Cancel).await
    }

    async fn is_active(&self, pid: i32, message: &str) -> Result<bool, ServerError> {
        Ok(self.look(pid, message).await? != Seen::Elsewhere)
    }

    /// False when there is no such backend.
    async fn signal(&self, pid: i32, message: &str, signal: Signal) -> Result<bool, ServerError> {
        self.ask(async |connection| {
            sqlx::query_scalar::<_, bool>(match signal {
                Signal::Cancel => {
                    "select pg_catalog.pg_cancel_backend(a.pid) from pg_catalog.pg_stat_get_activity($1) a
                      where pg_catalog.starts_with($2, pg_catalog.left(a.query, pg_catalog.length($2)))
                        and pg_catalog.length(a.query) >= least(pg_catalog.length($2), $3)"
                }
                Signal::Terminate => {
                    "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_get_activity($1) a
                      where pg_catalog.starts_with($2, pg_catalog.left(a.query, pg_catalog.length($2)))
                        and pg_catalog.length(a.query) >= least(pg_catalog.length($2), $3)"
                }
            })
            .bind(pid)
            .bind(beginning(message))
            .bind(SHOWN)
            .fetch_optional(connection)
            .await
            .map(|sent| sent.is_some())
            .map_err(|error| ServerError::of(&error))
        })
        .await
    }

    /// Asks on the shared connection, which is opened when it is first needed. It is put back only when it has answered.
    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Connection) -> Result<T, ServerError>,
    ) -> Result<T, ServerError> {
        let asked = async {
            let mut shared = self.shared.lock().await;
            let mut connection = match shared.take() {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options)
                    .await
                    .map_err(|error| ServerError::of(&error))?
                    .into(),
            };
            let answer = question(&mut connection).await?;
            *shared = Some(connection);
            Ok(answer)
        };
        timeout(self.timeout, asked).await.unwrap_or_else(|_| {
            let silence = format!("no answer within {:?}", self.timeout);
            Err(ServerError::local(silence))
        })
    }
}

fn beginning(message: &str) -> &str {
    let end = message.char_indices().nth(PREFIX);
    end.map_or(message, |(end, _)| &message[..end])
}

/// How a backend is told to stop.
#[derive(Debug, Clone, Copy)]
enum Signal {
    Cancel,
    Terminate,
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").finish_non_exhaustive()
    }
}
