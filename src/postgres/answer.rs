//! The one limit on waiting for the answer to a query of our own, which none of them may be without: the driver waits for
//! a server that has fallen silent as long as the system does, and that may be for ever.

use std::{io, time::Duration};

use tokio::time::timeout;

/// Longer than any query over our own tables takes, the fleet being as large as it may.
const ANSWER: Duration = Duration::from_secs(60);

/// A query that was sent.
pub(crate) trait Answered<T> {
    /// The answer, if it comes in time; `explain` makes the error of what went wrong otherwise. After a silence the
    /// connection is of no more use.
    async fn answered<E>(self, explain: impl FnOnce(sqlx::Error) -> E) -> Result<T, E>;
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> Answered<T> for F {
    async fn answered<E>(self, explain: impl FnOnce(sqlx::Error) -> E) -> Result<T, E> {
        within(ANSWER, self).await.map_err(explain)
    }
}

async fn within<T>(
    limit: Duration,
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, query).await.unwrap_or_else(|_| {
        let silence = format!("the server gave no answer within {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, silence).into())
    })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::postgres::{Fault, ServerError};

    #[tokio::test]
    async fn silence_is_a_broken_connection() {
        let limit = Duration::from_millis(10);
        let silent = within(limit, pending::<Result<(), _>>()).await;
        let error = silent.unwrap_err();
        assert_eq!(Fault::of_error(&error), Fault::Connection);
        let said = "the server gave no answer within 10ms";
        assert_eq!(ServerError::of(&error).message, said);
    }

    #[tokio::test]
    async fn an_answer_is_passed_on_with_what_was_being_done() {
        assert_eq!(ready(Ok(7)).answered(|_| "no").await, Ok(7));
        let failed = ready(Err::<(), _>(sqlx::Error::RowNotFound));
        assert_eq!(failed.answered(|_| "doing this").await, Err("doing this"));
    }
}
