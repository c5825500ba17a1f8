//! Why a migration is not carried on.

use std::time::Duration;

use super::{
    super::{Failure, Place, carry::lost},
    Single,
};
use crate::{
    postgres::{Fault, ServerError, SessionError},
    sql::InvalidIdent,
    store::StoreError,
};

/// Why a walk through the statements ended before the last one.
pub(super) struct Setback {
    pub(super) failure: Box<Failure>,
    /// The server took no connection.
    pub(super) unreachable: bool,
    /// The record says so already, or there is nothing for it to say.
    pub(super) is_recorded: bool,
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self {
            failure: Box::new(failure),
            unreachable: false,
            is_recorded: false,
        }
    }
}

impl From<SessionError> for Setback {
    fn from(error: SessionError) -> Self {
        let unreachable = matches!(error, SessionError::Connect { .. });
        // Nobody has begun anything, and nobody will that way.
        let is_recorded = matches!(error, SessionError::Pooled { .. });
        Self {
            unreachable,
            is_recorded,
            ..lost(error).into()
        }
    }
}

/// What our own tables say, which takes no time; a server that says nothing at all is not waited for without an end.
pub(super) async fn timely<T>(
    grace: Duration,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |_| {
        let what = format!("the server gave no answer within {grace:?}");
        Err(StoreError::Query {
            doing: "keep the record of a migration",
            error: ServerError::local(what),
        })
    };
    tokio::time::timeout(grace, asked)
        .await
        .unwrap_or_else(late)
}

/// Somebody else is at it.
pub(super) fn busy(what: &str) -> Failure {
    let error = ServerError {
        code: "TN001".to_owned(),
        ..ServerError::local(what.to_owned())
    };
    Failure::without_place(Fault::Busy, error)
}

/// A statement whose end is not what it should be.
pub(super) fn unmet(single: &Single, what: String) -> Failure {
    Failure {
        place: Some(Place::of(&single.origin, None)),
        ..Failure::without_place(Fault::Tenant, ServerError::local(what))
    }
}

/// What a person does about a statement that may be done in part.
const LOOK: &str = "look at the schema, then say how it is: `tenantry force VERSION TENANT` when all of the migration is there, \
                    `tenantry repair --clear-dirty TENANT` when nothing of it is";

/// A statement that nobody saw the end of, and of which nothing tells how far it came.
pub(super) fn cut_off(single: &Single) -> Failure {
    let what = "the statement was cut off, and nothing tells how much of it was done";
    let mut failure = unmet(single, what.to_owned());
    failure.fault = Fault::Dirty;
    failure.error.hint = Some(LOOK.to_owned());
    failure
}

/// The failure of a statement that may have done a part of its work before: with what the server said, and who was in the
/// way.
pub(super) fn in_part(failure: Failure) -> Failure {
    let error = failure.error;
    let hint = match error.hint {
        Some(hint) => format!("{hint}\n{LOOK}"),
        None => LOOK.to_owned(),
    };
    let what = "the statement failed, and nothing tells how much of it was done";
    Failure {
        fault: Fault::Dirty,
        error: ServerError {
            message: format!("{what}: {}", error.message),
            hint: Some(hint),
            ..error
        },
        ..failure
    }
}

pub(super) fn no_name(error: InvalidIdent) -> Failure {
    Failure::without_place(Fault::Gone, ServerError::local(error.to_string()))
}

/// What the catalog says.
pub(super) async fn seen<T>(
    looked: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, StoreError> {
    looked.await.map_err(|error| StoreError::Query {
        doing: "look at what a statement left",
        error: ServerError::of(&error),
    })
}
