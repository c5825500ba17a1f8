//! One connection, held for many targets: messages go out as one piece and come back statement by statement.

use futures::{StreamExt, TryStreamExt};
use sqlx::{
    AssertSqlSafe, Connection, Either, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};

use super::{Fault, Message, ServerError};

/// A direct connection that carries messages. Nothing of one message survives into the next.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
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
        /// Where the message's transaction was by then.
        ended: Ended,
        /// What the server said.
        error: ServerError,
    },
}

/// Where the transaction of a message was when one of its statements was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The statement ran in a transaction, which is rolled back now.
    RolledBack,
    /// There was no transaction that could be rolled back.
    Before,
    /// It is committed; the statement ran outside it.
    Committed,
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
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(ServerError),
}

impl Session {
    /// Connects, with settings that every message starts from and that `RESET ALL` returns to.
    pub async fn connect(options: &PgConnectOptions) -> Result<Self, ServerError> {
        let options = options.clone().options([
            // A dead client's statement would run on and commit.
            ("client_connection_check_interval", "1s"),
            ("idle_in_transaction_session_timeout", "30s"),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
        ]);
        let connection = PgConnection::connect_with(&options)
            .await
            .map_err(|error| ServerError::of(&error))?;
        Ok(Self { connection })
    }

    /// Sends one message and waits for its end. A message may set `tenantry.mark` for the session: it lasts
    /// if the transaction is committed, so after an error it is known for certain.
    pub async fn send(&mut self, message: &Message) -> Result<Outcome, SessionError> {
        self.ask(message, &mut None).await
    }

    /// As [`Session::send`], and keeps the last row that the message gave.
    pub async fn ask(
        &mut self,
        message: &Message,
        last: &mut Option<PgRow>,
    ) -> Result<Outcome, SessionError> {
        let mut completed = 0;
        let mut replies =
            sqlx::raw_sql(AssertSqlSafe(message.shared())).fetch_many(&mut self.connection);
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
        let is_idle = self.is_idle().await?;
        // A text may have ended our transaction and begun one of its own, in which the error was.
        let is_committed = self.reset().await?;
        let ended = match is_idle {
            _ if is_committed => Ended::Committed,
            true => Ended::Before,
            false => Ended::RolledBack,
        };
        Ok(Outcome::Refused {
            completed,
            ended,
            error: ServerError::of(&error),
        })
    }

    /// The connection, for queries over our own tables.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        // The server notices a closed socket as well: an error here changes nothing.
        let _ = self.connection.close().await;
    }

    /// Whether a statement runs at all: in a transaction that failed, none does.
    async fn is_idle(&mut self) -> Result<bool, SessionError> {
        match sqlx::raw_sql("SELECT 1")
            .execute(&mut self.connection)
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if Fault::of_error(&error) == Fault::Connection => {
                Err(SessionError::Lost(ServerError::of(&error)))
            }
            Err(_) => Ok(false),
        }
    }

    /// Whether a transaction that bears the mark was committed.
    async fn reset(&mut self) -> Result<bool, SessionError> {
        sqlx::raw_sql(Self::RESET)
            .fetch_many(&mut self.connection)
            .try_fold(false, |marked, reply| async move {
                Ok(marked || reply.right().is_some_and(|row| is_marked(&row)))
            })
            .await
            .map_err(|error| SessionError::Lost(ServerError::of(&error)))
    }

    /// After any end. `RESET ALL` leaves roles, temporary tables, held cursors, channels, locks and prepared statements of
    /// the session as they are; those that SQL prepared are forgotten, the driver's are kept.
    const RESET: &'static str = "ROLLBACK; SELECT pg_catalog.current_setting('tenantry.mark', true) AS mark; \
         RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; CLOSE ALL; UNLISTEN *; \
         SELECT pg_catalog.pg_advisory_unlock_all(); RESET ALL; \
         DO $$ DECLARE prepared pg_catalog.text; BEGIN \
           FOR prepared IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP \
             EXECUTE pg_catalog.format('DEALLOCATE %I', prepared); \
           END LOOP; \
         END $$";
}

/// Whether a row tells of the mark.
fn is_marked(row: &PgRow) -> bool {
    let mark: Option<&str> = row.try_get("mark").ok().flatten();
    mark.is_some_and(|mark| !mark.is_empty())
}
