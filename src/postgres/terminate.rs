//! Ending another's session, because a person says so.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Activity, Answered, Connection, ServerError, sessions};

/// How long a session may take to end once it was told to.
const ENDING: Duration = Duration::from_secs(5);

/// How often it is looked at meanwhile.
const LOOKS: Duration = Duration::from_millis(20);

/// What became of a session that was to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terminated {
    /// It is no more, and its transaction is rolled back.
    Ended,
    /// It was told to end, and is still there.
    Stays,
    /// There is no such session in this database.
    Absent,
    /// The server does not let us.
    Refused(ServerError),
}

/// Ends a session and waits for its end.
///
/// # Errors
/// Where the server cannot be asked.
pub async fn terminate(
    connection: &mut Connection,
    session: &Activity,
) -> Result<Terminated, ServerError> {
    let Some(pid) = session.pid else {
        return Ok(Terminated::Absent);
    };
    // Not another session that has the same number by now: that one began later, or has not the same name, role and client.
    let is_there = async |connection: &mut Connection| {
        let now = sessions(connection, &[pid]).await?;
        let same = |now: &Activity| {
            (&now.started, &now.user, &now.application, &now.client)
                == (
                    &session.started,
                    &session.user,
                    &session.application,
                    &session.client,
                )
        };
        Ok::<_, ServerError>(now.iter().any(same))
    };
    if !is_there(&mut *connection).await? {
        return Ok(Terminated::Absent);
    }
    let told = sqlx::query(
        "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
          where a.pid = $1 and extract(epoch from a.backend_start)::text is not distinct from $2",
    )
    .bind(pid)
    .bind(&session.started)
    .execute(&mut *connection)
    .answered(|error| ServerError::of(&error))
    .await;
    if let Err(error) = told {
        // insufficient_privilege
        return match error.code.as_str() {
            "42501" => Ok(Terminated::Refused(error)),
            _ => Err(error),
        };
    }
    let start = Instant::now();
    while start.elapsed() < ENDING {
        if !is_there(&mut *connection).await? {
            return Ok(Terminated::Ended);
        }
        sleep(LOOKS).await;
    }
    Ok(Terminated::Stays)
}
