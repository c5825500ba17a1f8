//! An answer that is not waited for any longer: why not, and what became of the statement on the server.

use std::time::Duration;

use super::{Outcome, ServerError, SessionError};

/// Why an answer is not waited for any longer.
#[derive(Debug)]
pub(super) enum Why {
    Cut,
    Late(Duration),
}

impl Why {
    /// The error, with what became of the statement on the server.
    pub(super) fn tell(self, ended: Result<bool, ServerError>) -> SessionError {
        let leaves_running = !matches!(ended, Ok(true));
        let fate = match ended {
            Ok(true) => "it was cancelled on the server".to_owned(),
            Ok(false) => "it was cancelled, and did not end on the server".to_owned(),
            Err(error) => format!("it could not be cancelled on the server: {error}"),
        };
        match self {
            Self::Cut => SessionError::Cancelled(ServerError {
                detail: Some(fate),
                leaves_running,
                ..ServerError::local("stopped at once, as was asked for".to_owned())
            }),
            Self::Late(limit) => SessionError::Lost(ServerError {
                detail: Some(fate),
                leaves_running,
                ..ServerError::local(format!("the server gave no answer within {limit:?}"))
            }),
        }
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
