//! An answer that is not waited for any longer: why not, and what became of the statement on the server.

use std::time::Duration;

use super::{Outcome, ServerError, SessionError};

/// Why an answer is not waited for any longer.
#[derive(Debug)]
pub(super) enum Why {
    Cut,
    Late(Duration),
}

/// What is said of a statement that was told to end and did not.
const NOT_ENDED: &str = "it was cancelled, and did not end on the server";

/// How that begins what is said of a statement that could not be told.
const NOT_CANCELLED: &str = "it could not be cancelled on the server: ";

impl Why {
    /// The error, with what became of the statement on the server.
    pub(super) fn tell(self, ended: Result<bool, ServerError>) -> SessionError {
        let fate = match ended {
            Ok(true) => "it was cancelled on the server".to_owned(),
            Ok(false) => NOT_ENDED.to_owned(),
            Err(error) => format!("{NOT_CANCELLED}{error}"),
        };
        match self {
            Self::Cut => SessionError::Cancelled(ServerError {
                detail: Some(fate),
                ..ServerError::local("stopped at once, as was asked for".to_owned())
            }),
            Self::Late(limit) => SessionError::Lost(ServerError {
                detail: Some(fate),
                ..ServerError::local(format!("the server gave no answer within {limit:?}"))
            }),
        }
    }
}

impl ServerError {
    /// Whether the statement may run on: nobody waits for it any longer, and it could not be ended on the server.
    pub fn leaves_running(&self) -> bool {
        let fate = self.detail.as_deref().unwrap_or_default();
        self.code.is_empty() && (fate == NOT_ENDED || fate.starts_with(NOT_CANCELLED))
    }
}

/// Nobody could look who was in the way of a message: where it waited for a lock in vain, this says so.
pub(super) fn unseen(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Refused {
            completed,
            ended,
            error,
        } if error.code == "55P03" => Outcome::Refused {
            completed,
            ended,
            error: ServerError {
                hint: Some(
                    "behind a pooler it is not seen who holds the lock: `direct_url` leads past it, and `tenantry blockers` \
                     shows who is in the way now"
                        .to_owned(),
                ),
                ..error
            },
        },
        outcome => outcome,
    }
}
