//! One connection, held for many targets: messages go out as one piece and come back statement by statement.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use sqlx::{
    AssertSqlSafe, Connection as _, Either, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};

use super::{Connection, Fault, Message, ServerError, settings};

/// A connection that carries messages. Nothing of one message survives into the next.
///
/// Behind a transaction pooler each message may meet another server: then there is nothing but transactions, and no
/// process of the server that is ours. Whoever needs more asks the shard for a direct session.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    touched: u64,
}

/// How a message ended.
#[derive(Debug)]
pub enum Outcome {
    /// All of it ran, and it was committed.
    Done,
    /// The server refused a statement; the transaction is rolled back and the session can be used again.
    Refused {
        /// How many statements of the message had been completed before.
        completed: usize,
        /// Whether there was no transaction any more that could be rolled back.
        ended: bool,
        /// What the server said.
        error: ServerError,
    },
}

/// What stands before a message in the text that is sent.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    statements: usize,
    characters: usize,
}

/// The connection is of no more use; whether the message was committed is unknown.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No connection could be made.
    #[error("cannot connect to {shard} at {address}: {error} (`{setting}` says where it is)")]
    Connect {
        /// The shard's name.
        shard: String,
        /// Host and port, or the directory of the socket.
        address: String,
        /// Which setting says so.
        setting: String,
        /// What the server or the driver said.
        error: ServerError,
    },
    /// Something needs a session of its own, and a pooler gives out none.
    #[error(
        "{shard} is reached through a pooler at {address} (`{setting}`), which lets transactions through and nothing \
         else, and this needs a session of its own: set `{table}.direct_url` to a URL that leads straight to the server"
    )]
    Pooled {
        /// The shard's name.
        shard: String,
        /// Host and port, or the directory of the socket.
        address: String,
        /// Which setting says so.
        setting: String,
        /// The table of the configuration that the shard is from.
        table: String,
    },
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(ServerError),
}

impl SessionError {
    /// What went wrong, without where.
    pub fn into_server_error(self) -> ServerError {
        match self {
            Self::Connect { error, .. } | Self::Lost(error) => error,
            pooled @ Self::Pooled { .. } => ServerError::local(pooled.to_string()),
        }
    }
}

impl Session {
    /// Connects, with settings that every message starts from and that `RESET ALL` returns to. Where they do not reach the
    /// server, because something in between keeps or refuses them, the session is a pooled one. `is_pooled` says what is
    /// known of that; what is not is found out, by one query.
    pub async fn connect(
        options: &PgConnectOptions,
        is_pooled: Option<bool>,
    ) -> Result<Self, ServerError> {
        match is_pooled {
            Some(false) => Self::direct(options).await,
            Some(true) => Self::pooled(options).await,
            None => match Self::direct(options).await {
                Ok(mut session) => {
                    if !session.has_settings().await? {
                        session.connection.set_pooled();
                    }
                    Ok(session)
                }
                Err(error) if settings::are_refused(&error) => {
                    // Where that is refused as well, it was not the settings.
                    Self::pooled(options).await.map_err(|_| error)
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn direct(options: &PgConnectOptions) -> Result<Self, ServerError> {
        match Self::open(&settings::at_start(options, true), false).await {
            Err(error)
                if error.message.contains(settings::CHECK.0) && !settings::are_refused(&error) =>
            {
                Self::open(&settings::at_start(options, false), false).await
            }
            opened => opened,
        }
    }

    async fn pooled(options: &PgConnectOptions) -> Result<Self, ServerError> {
        Self::open(&settings::behind_a_pooler(options), true).await
    }

    async fn open(options: &PgConnectOptions, is_pooled: bool) -> Result<Self, ServerError> {
        let connection = PgConnection::connect_with(options)
            .await
            .map_err(|error| ServerError::of(&error))?;
        Ok(Self {
            connection: Connection::new(connection, is_pooled),
            touched: 0,
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

    /// Sends one message and waits for its end.
    pub async fn send(&mut self, message: &Message) -> Result<Outcome, SessionError> {
        self.ask(message, &mut None).await
    }

    /// As [`Session::send`], and keeps the last row that the message gave.
    pub async fn ask(
        &mut self,
        message: &Message,
        last: &mut Option<PgRow>,
    ) -> Result<Outcome, SessionError> {
        self.touched += u64::from(message.relations());
        let mut completed = 0_usize;
        let (text, ahead) = self.whole(message);
        let mut replies = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut *self.connection);
        let error = loop {
            match replies.next().await {
                Some(Ok(Either::Left(_))) => completed += 1,
                Some(Ok(Either::Right(row))) => *last = Some(row),
                Some(Err(error)) => break error,
                None => return Ok(Outcome::Done),
            }
        };
        drop(replies);
        if Fault::of_error(&error) == Fault::Connection {
            return Err(SessionError::Lost(ServerError::of(&error)));
        }
        let ended = self.is_idle().await?;
        self.reset().await?;
        let mut error = ServerError::of(&error);
        error.position = error
            .position
            .and_then(|position| position.checked_sub(ahead.characters));
        Ok(Outcome::Refused {
            completed: completed.saturating_sub(ahead.statements),
            ended,
            error,
        })
    }

    /// The text to be sent, and what stands in it before the message.
    fn whole(&self, message: &Message) -> (Arc<str>, Ahead) {
        if !self.is_pooled() {
            return (message.shared(), Ahead::default());
        }
        let (mut text, statements) = settings::ahead();
        let characters = text.chars().count();
        text.push_str(message.as_str());
        let ahead = Ahead {
            statements,
            characters,
        };
        (text.into(), ahead)
    }

    /// The connection, for queries over our own tables.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        // The server notices a closed socket as well: an error here changes nothing.
        let _ = self.connection.into_inner().close().await;
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

    async fn reset(&mut self) -> Result<(), SessionError> {
        sqlx::raw_sql(Self::RESET)
            .fetch_many(&mut *self.connection)
            .try_for_each(|_| async { Ok(()) })
            .await
            .map_err(|error| SessionError::Lost(ServerError::of(&error)))
    }

    /// After any end. `RESET ALL` leaves roles, temporary tables, held cursors, channels and locks of the session as they
    /// are. Prepared statements stay: most of them are the driver's.
    const RESET: &'static str = "ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; CLOSE ALL; UNLISTEN *; \
         SELECT pg_catalog.pg_advisory_unlock_all(); RESET ALL";
}
