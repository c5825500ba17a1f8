//! One connection, held for many targets: messages go out as one piece and come back statement by statement.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use sqlx::{
    AssertSqlSafe, Connection as _, Either, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Answered, Blocker, Connection, Ended, Fault, Message, Outcome, ServerError, SessionError,
    Watch,
    given_up::{self, Why},
    settings,
    side::{Sent, Side},
    watch::watch,
};
use crate::telemetry::{Notice, Sink};

/// A connection that carries messages. Nothing of one message survives into the next.
///
/// Behind a transaction pooler each message may meet another server: then there is nothing but transactions, and no
/// process of the server that is ours. Whoever needs more asks the shard for a direct session. Where another way leads past the
/// pooler, what runs is found from there by its text.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    touched: u64,
    /// Its process on the server, once that had to be known.
    pid: Option<i32>,
    side: Arc<Side>,
    blockers: Vec<Blocker>,
    sink: Sink,
    notices: Vec<(usize, Notice)>,
    /// No other session has it.
    name: u64,
    /// How many messages it has sent through a pooler.
    sent: u64,
}

/// What stands before a message in the text that is sent.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    statements: usize,
    characters: usize,
}

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

async fn watched(side: &Side, sent: Option<Sent<'_>>, how: Watch, blockers: &mut Vec<Blocker>) {
    match sent {
        Some(sent) => watch(side, sent, how, blockers).await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => sleep(deadline).await,
        None => std::future::pending().await,
    }
}

impl Session {
    /// Connects, with settings that every message starts from and that `RESET ALL` returns to. Where they do not reach the
    /// server, because something in between keeps or refuses them, the session is a pooled one. `is_pooled` says what is
    /// known of that; what is not is found out, by one query.
    pub(super) async fn connect(
        options: &PgConnectOptions,
        is_pooled: Option<bool>,
        side: Arc<Side>,
    ) -> Result<Self, ServerError> {
        match is_pooled {
            Some(false) => Self::direct(options, side).await,
            Some(true) => Self::pooled(options, side).await,
            None => match Self::direct(options, side.clone()).await {
                Ok(mut session) => {
                    if !session.has_settings().await? {
                        session.connection.set_pooled();
                    }
                    Ok(session)
                }
                Err(error) if settings::are_refused(&error) => {
                    // Where that is refused as well, it was not the settings.
                    Self::pooled(options, side).await.map_err(|_| error)
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn direct(options: &PgConnectOptions, side: Arc<Side>) -> Result<Self, ServerError> {
        match Self::open(&settings::at_start(options, true), false, side.clone()).await {
            Err(error)
                if error.message.contains(settings::CHECK.0) && !settings::are_refused(&error) =>
            {
                Self::open(&settings::at_start(options, false), false, side).await
            }
            opened => opened,
        }
    }

    async fn pooled(options: &PgConnectOptions, side: Arc<Side>) -> Result<Self, ServerError> {
        Self::open(&settings::behind_a_pooler(options), true, side).await
    }

    async fn open(
        options: &PgConnectOptions,
        is_pooled: bool,
        side: Arc<Side>,
    ) -> Result<Self, ServerError> {
        let connection = PgConnection::connect_with(options)
            .await
            .map_err(|error| ServerError::of(&error))?;
        Ok(Self {
            connection: Connection::new(connection, is_pooled),
            touched: 0,
            pid: None,
            side,
            blockers: Vec::new(),
            sink: Sink::default(),
            notices: Vec::new(),
            name: RandomState::new().build_hasher().finish(),
            sent: 0,
        })
    }

    /// Whether the server has what was asked for at the start.
    async fn has_settings(&mut self) -> Result<bool, ServerError> {
        let row = sqlx::raw_sql("SELECT pg_catalog.current_setting('tenantry.session', true)")
            .fetch_one(&mut *self.connection);
        let mark: Option<String> = row
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| ServerError::of(&error))?;
        Ok(mark.as_deref() == Some(settings::MARK.1))
    }

    /// Whether a pooler is between us and the server.
    pub fn is_pooled(&self) -> bool {
        self.connection.is_pooled()
    }

    /// How many relations its messages have touched so far, as far as they say so.
    pub fn touched(&self) -> u64 {
        self.touched
    }

    /// Sends one message and waits for its end. A message may set `tenantry.mark` for the session: it lasts
    /// if the transaction is committed, so after an error it is known for certain.
    pub async fn send(&mut self, message: &Message) -> Result<Outcome, SessionError> {
        self.ask(message, Watch::default(), &mut None).await
    }

    /// As [`Session::send`], watched as `watch` says; `last` keeps the last row that the message gave.
    ///
    /// # Errors
    /// Where the connection broke, where the server gave no answer in time, and where everything is to be cancelled: then
    /// the statement was ended on the server, as far as that could be reached. The session is of no more use.
    pub async fn ask(
        &mut self,
        message: &Message,
        watch: Watch,
        last: &mut Option<PgRow>,
    ) -> Result<Outcome, SessionError> {
        self.blockers.clear();
        let (side, pid) = (Arc::clone(&self.side), self.pid().await?);
        self.touched += u64::from(message.relations());
        let (text, ahead) = self.whole(message);
        let sent = match pid {
            Some(pid) => Some(Sent::to(pid, &text)),
            None => side.is_direct().then(|| Sent::anywhere(&text)),
        };
        let unseen = pid.is_none().then_some(watch.unseen);
        let deadline = watch.deadline.or(unseen);
        let mut blockers = Vec::new();
        let why = tokio::select! {
            // An answer that is there counts, whatever else happened meanwhile.
            biased;
            outcome = self.exchange(text.clone(), ahead, last) => {
                self.blockers = blockers;
                return match sent {
                    Some(_) => outcome,
                    None => outcome.map(given_up::unseen),
                };
            }
            () = side.cut().cancelled() => Why::Cut,
            () = until(deadline) => Why::Late(deadline.unwrap_or_default()),
            () = watched(&side, sent, watch, &mut blockers) => Why::Late(watch.silence),
        };
        self.blockers = blockers;
        let ended = match sent {
            Some(sent) => side.end(sent).await,
            None => Err(ServerError::local(
                "a pooler is in between, and no `direct_url` leads past it".to_owned(),
            )),
        };
        Err(why.tell(ended))
    }

    /// Cancelled when everything that runs is to be cancelled.
    pub fn cut(&self) -> &CancellationToken {
        self.side.cut()
    }

    /// Who was in the way when the last message was looked at for the last time.
    pub fn blockers(&self) -> &[Blocker] {
        &self.blockers
    }

    /// The process on the server: asked once, and by those alone who send messages. While it runs one it cannot be asked.
    /// None behind a pooler, where it may be another one each time.
    async fn pid(&mut self) -> Result<Option<i32>, SessionError> {
        if self.pid.is_none() && !self.is_pooled() {
            let asking = sqlx::raw_sql("SELECT pg_catalog.pg_backend_pid()");
            let lost = |error: sqlx::Error| SessionError::Lost(ServerError::of(&error));
            let asking = asking.fetch_one(&mut *self.connection).answered(lost);
            self.pid = asking.await?.try_get(0).map_err(lost)?;
        }
        Ok(self.pid)
    }

    /// Sends a message, with what stands ahead of it, and takes the replies.
    async fn exchange(
        &mut self,
        text: Arc<str>,
        ahead: Ahead,
        last: &mut Option<PgRow>,
    ) -> Result<Outcome, SessionError> {
        let mut completed = 0_usize;
        let (sink, notices) = (&self.sink, &mut self.notices);
        notices.clear();
        let mut replies = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut *self.connection);
        let ended = sink.listen(async {
            loop {
                let reply = replies.next().await;
                notices.extend(
                    sink.drain()
                        .into_iter()
                        .map(|notice| (completed.saturating_sub(ahead.statements), notice)),
                );
                match reply {
                    Some(Ok(Either::Left(_))) => completed += 1,
                    Some(Ok(Either::Right(row))) => *last = Some(row),
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
            }
        });
        let ended = ended.await;
        drop(replies);
        let Some(error) = ended else {
            return Ok(Outcome::Done);
        };
        let fault = Fault::of_error(&error);
        let mut error = ServerError::of(&error);
        if error.ends_session || fault == Fault::Connection {
            return Err(SessionError::Lost(error));
        }
        let is_idle = self.is_idle().await?;
        // A text may have ended our transaction and begun one of its own, in which the error was.
        let is_committed = self.reset(is_idle).await?;
        let ended = match is_idle {
            _ if is_committed => Ended::Committed,
            true => Ended::Before,
            false => Ended::RolledBack,
        };
        error.position = error
            .position
            .and_then(|position| position.checked_sub(ahead.characters));
        Ok(Outcome::Refused {
            completed: completed.saturating_sub(ahead.statements),
            ended,
            error,
        })
    }

    /// The text to be sent, and what stands in it before the message. Behind a pooler nobody knows which server has it: it
    /// begins as no other text does, so that it can be found.
    fn whole(&mut self, message: &Message) -> (Arc<str>, Ahead) {
        if !self.is_pooled() {
            return (message.shared(), Ahead::default());
        }
        self.sent += 1;
        let (settings, statements) = settings::ahead();
        let mut text = format!("/* tenantry {:016x} {} */ {settings}", self.name, self.sent);
        let characters = text.chars().count();
        text.push_str(message.as_str());
        let ahead = Ahead {
            statements,
            characters,
        };
        (text.into(), ahead)
    }

    /// What the server said beside its answers while the last message ran, each with the number of statements that had been
    /// completed before. Nothing where the process's subscriber has no [`notices`](crate::telemetry::notices) layer.
    pub fn take_notices(&mut self) -> Vec<(usize, Notice)> {
        std::mem::take(&mut self.notices)
    }

    /// The connection, for queries over our own tables.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        // The server notices a closed socket as well: an error here changes nothing.
        let _ = timeout(GOODBYE, self.connection.into_inner().close()).await;
    }

    /// Whether a statement runs at all: in a transaction that failed, none does.
    async fn is_idle(&mut self) -> Result<bool, SessionError> {
        match sqlx::raw_sql("SELECT 1")
            .execute(&mut *self.connection)
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if Fault::of_error(&error) == Fault::Connection => {
                Err(SessionError::Lost(ServerError::of(&error)))
            }
            Err(_) => Ok(false),
        }
    }

    /// After an error: whether a transaction that bears the mark was committed. Where no transaction is left, there is
    /// nothing to roll back, and the server would warn of it. Behind a pooler the mark may be somebody else's.
    async fn reset(&mut self, is_idle: bool) -> Result<bool, SessionError> {
        let rolls_back = Self::RESET.strip_prefix(Self::ROLLBACK);
        let reset = rolls_back.filter(|_| is_idle).unwrap_or(Self::RESET);
        let is_pooled = self.is_pooled();
        sqlx::raw_sql(reset)
            .fetch_many(&mut *self.connection)
            .try_fold(false, |marked, reply| async move {
                let marks = reply.right().is_some_and(|row| is_marked(&row));
                Ok(marked || marks && !is_pooled)
            })
            .await
            .map_err(|error| SessionError::Lost(ServerError::of(&error)))
    }

    const ROLLBACK: &'static str = "ROLLBACK; ";

    /// After any end. `RESET ALL` leaves roles, temporary tables, held cursors, channels, locks and prepared statements of
    /// the session as they are; those that SQL prepared are forgotten, the driver's are kept.
    const RESET: &'static str = concat!(
        "ROLLBACK; SELECT pg_catalog.current_setting('tenantry.mark', true) AS mark; ",
        settings::reset!(),
        "; SELECT pg_catalog.pg_advisory_unlock_all(); RESET ALL; \
         DO $$ DECLARE prepared pg_catalog.text; BEGIN \
           FOR prepared IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP \
             EXECUTE pg_catalog.format('DEALLOCATE %I', prepared); \
           END LOOP; \
         END $$"
    );
}

/// Whether a row tells of the mark.
fn is_marked(row: &PgRow) -> bool {
    let mark: Option<&str> = row.try_get("mark").ok().flatten();
    mark.is_some_and(|mark| !mark.is_empty())
}
