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
    /// Whether it is another way than that of the sessions, straight to the server.
    is_direct: bool,
    shared: Arc<Mutex<Option<Connection>>>,
    cut: CancellationToken,
}

/// A text that a backend was sent, and which backend that is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    /// None where only the text tells which one has it.
    pid: Option<i32>,
    text: &'a str,
}

impl<'a> Sent<'a> {
    /// To this backend.
    pub(super) fn to(pid: i32, text: &'a str) -> Self {
        Self {
            pid: Some(pid),
            text,
        }
    }

    /// To any backend. Nobody else may send a text that begins like this one; the parallel workers, which show it as well, are
    /// passed over.
    pub(super) fn anywhere(text: &'a str) -> Self {
        Self { pid: None, text }
    }

    /// Whether the backend is known before anybody has looked for it.
    pub(super) fn is_to_known(&self) -> bool {
        self.pid.is_some()
    }

    /// What the backend's query has to begin with.
    fn beginning(&self) -> &'a str {
        let end = self.text.char_indices().nth(PREFIX);
        end.map_or(self.text, |(end, _)| &self.text[..end])
    }
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
            is_direct: false,
            shared: Arc::default(),
            cut,
        }
    }

    /// The same by another way, which leads past whatever is on the way of the sessions.
    pub(super) fn via(self, options: PgConnectOptions) -> Self {
        Self {
            options,
            is_direct: true,
            ..self
        }
    }

    /// Whether it sees also what was sent through a pooler.
    pub(super) fn is_direct(&self) -> bool {
        self.is_direct
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

    /// What a backend is doing with what it was sent.
    pub(super) async fn look(&self, sent: Sent<'_>) -> Result<Seen, ServerError> {
        self.ask(async |connection| {
            let at_it: Option<(i32, bool)> = sqlx::query_as(
                "select a.pid, coalesce(a.wait_event_type = 'Lock', false) from pg_catalog.pg_stat_get_activity($1) a
                  where a.state = 'active' and a.leader_pid is null
                    and pg_catalog.starts_with($2, pg_catalog.left(a.query, pg_catalog.length($2)))
                    and pg_catalog.length(a.query) >= least(pg_catalog.length($2), $3)",
            )
            .bind(sent.pid)
            .bind(sent.beginning())
            .bind(SHOWN)
            .fetch_optional(&mut *connection)
            .await
            .map_err(|error| ServerError::of(&error))?;
            Ok(match at_it {
                None => Seen::Elsewhere,
                Some((_, false)) => Seen::Running(Vec::new()),
                Some((pid, true)) => {
                    let waits = waits(connection, Some(pid)).await?;
                    Seen::Running(waits.into_iter().flat_map(|wait| wait.blockers()).collect())
                }
            })
        })
        .await
    }

    /// Ends the backend that has what was sent: cancels, then terminates. False when it would not end, as in the midst of a
    /// COMMIT that waits for a standby.
    pub(super) async fn end(&self, sent: Sent<'_>) -> Result<bool, ServerError> {
        let start = Instant::now();
        if !self.signal(sent, Signal::Cancel).await? {
            // Looked for by its text alone, it may be where that cannot be seen, or wait in a pooler.
            let unseen = || ServerError::local("no process was seen that has it".to_owned());
            return sent.is_to_known().then_some(true).ok_or_else(unseen);
        }
        while start.elapsed() < CANCELLING && self.is_active(sent).await? {
            sleep(LOOKS).await;
        }
        while start.elapsed() < ENDING {
            // It may be idle by now, and does not know that nobody listens any more.
            if !self.signal(sent, Signal::Terminate).await? {
                return Ok(true);
            }
            sleep(LOOKS).await;
        }
        Ok(false)
    }

    /// Cancels what was sent. False when no backend has it.
    pub(super) async fn cancel(&self, sent: Sent<'_>) -> Result<bool, ServerError> {
        self.signal(sent, Signal::Cancel).await
    }

    async fn is_active(&self, sent: Sent<'_>) -> Result<bool, ServerError> {
        Ok(self.look(sent).await? != Seen::Elsewhere)
    }

    /// False when there is no such backend.
    async fn signal(&self, sent: Sent<'_>, signal: Signal) -> Result<bool, ServerError> {
        self.ask(async |connection| {
            sqlx::query_scalar::<_, bool>(match signal {
                Signal::Cancel => {
                    "select pg_catalog.pg_cancel_backend(a.pid) from pg_catalog.pg_stat_get_activity($1) a
                      where pg_catalog.starts_with($2, pg_catalog.left(a.query, pg_catalog.length($2)))
                        and pg_catalog.length(a.query) >= least(pg_catalog.length($2), $3) and a.leader_pid is null"
                }
                Signal::Terminate => {
                    "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_get_activity($1) a
                      where pg_catalog.starts_with($2, pg_catalog.left(a.query, pg_catalog.length($2)))
                        and pg_catalog.length(a.query) >= least(pg_catalog.length($2), $3) and a.leader_pid is null"
                }
            })
            .bind(sent.pid)
            .bind(sent.beginning())
            .bind(SHOWN)
            .fetch_optional(connection)
            .await
            .map(|signalled| signalled.is_some())
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
