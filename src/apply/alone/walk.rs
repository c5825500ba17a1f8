//! Carries a migration that is no transaction: statement by statement, with a record of each, so that anybody can go on
//! where somebody was cut off.
//!
//! The schema's own lock is held for the session. Whoever has it knows that nobody else's statement is running any more,
//! and finds in the record which one that was, in the catalog what became of it.

use super::{
    super::{Carrier, Failure, Patience, Place},
    Alone, How, Single,
    setback::{Setback, busy, no_name, timely},
};
use crate::{
    history::Head,
    postgres::{Fault, Outcome, ServerError, SessionError},
    store::{
        StoreError,
        statements::{self, Progress},
    },
};

/// A schema whose lock is held, and what is carried to it.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) alone: &'a Alone,
    pub(super) head: &'a Head,
    /// The backend that holds it.
    pub(super) pid: i32,
}

/// What a walk is for.
enum Aim<'f> {
    /// To carry out what is left.
    Finish,
    /// To clear up after the statement that failed so, and to record it.
    Stop(&'f Failure),
}

impl Carrier<'_> {
    /// All statements of `alone` that are not recorded yet, and the end of it.
    pub(in crate::apply) async fn alone(
        &mut self,
        alone: &Alone,
        head: &Head,
    ) -> Result<(), Failure> {
        let after = alone.after(head);
        let (mut patience, mut reconnected, mut done) = (Patience::new(self.limits), false, 0);
        loop {
            let before = done;
            let walked = self.walk(alone, head, &mut done, Aim::Finish).await;
            let Err(mut setback) = walked else {
                return Ok(());
            };
            if done > before {
                patience = Patience::new(self.limits);
            }
            setback.failure.tries = patience.tries();
            let fault = setback.failure.fault;
            // As for a message: the last thing that was sent may be what has moved the schema.
            reconnected |= fault == Fault::Connection;
            if reconnected && fault == Fault::Stale && self.is_at(&after).await {
                return Ok(());
            }
            let delay = match setback.unreachable {
                true => patience.restart(),
                false => patience.delay(fault),
            };
            let Some(delay) = delay else {
                return Err(self.stop_at(alone, head, setback).await);
            };
            let waited = self.stop.run_until_cancelled(tokio::time::sleep(delay));
            if waited.await.is_none() {
                return Err(self.stop_at(alone, head, setback).await);
            }
        }
    }

    /// Records why it ends here, once nothing is left of the statement that failed. What cannot be done now is done by
    /// whoever goes on with it: the record has the statement.
    async fn stop_at(&mut self, alone: &Alone, head: &Head, setback: Setback) -> Failure {
        let failure = *setback.failure;
        let is_ours = !matches!(
            failure.fault,
            Fault::Busy
                | Fault::Stale
                | Fault::Gone
                | Fault::Dirty
                | Fault::Unfinished
                | Fault::Connection
        );
        if is_ours && !setback.is_recorded {
            let stopped = self.walk(alone, head, &mut 0, Aim::Stop(&failure)).await;
            if let Err(Setback { failure: why, .. }) = stopped {
                tracing::warn!(schema = head.schema, %why, "what a failed statement left is cleared up by the next run");
                if why.fault == Fault::Dirty {
                    return *why;
                }
            }
        }
        failure
    }

    async fn walk(
        &mut self,
        alone: &Alone,
        head: &Head,
        done: &mut usize,
        aim: Aim<'_>,
    ) -> Result<(), Setback> {
        let grace = self.limits.grace;
        let session = self.session().await?;
        let locked = timely(
            grace,
            statements::lock(session.connection(), head.schema_oid),
        )
        .await;
        let Some(pid) = self.heard(locked)? else {
            return Err(busy("another session is at work on this schema").into());
        };
        let walked = self.locked(Held { alone, head, pid }, done, aim).await;
        // Everything that is held is let go of with the session, where that is broken.
        if self.session.is_some() && self.clear(RELEASE).await.is_err() {
            self.session = None;
        }
        walked
    }

    /// With the schema's lock in hand.
    async fn locked(
        &mut self,
        held: Held<'_>,
        done: &mut usize,
        aim: Aim<'_>,
    ) -> Result<(), Setback> {
        let Held { alone, head, .. } = held;
        let grace = self.limits.grace;
        let (limits, migration) = (self.limits, &alone.migration);
        let connection = self.session().await?.connection();
        let begun = timely(
            grace,
            statements::begin(connection, head, migration, alone.direction, &limits.who),
        )
        .await;
        let mut progress = self.heard(begun)?;
        loop {
            *done = progress.done;
            let single = alone.single.get(progress.done);
            if let Aim::Stop(failure) = &aim {
                let note = format!("{}: {}", alone.nth(progress.done), failure.error);
                let mut stands = progress.done;
                if let (Some(single), Some(before)) = (single, progress.open) {
                    let settled = self.settle(held, single, stands, before).await?;
                    stands += usize::from(settled);
                }
                let connection = self.session().await?.connection();
                let stopped = timely(
                    grace,
                    statements::stop(connection, head, stands, &note, false),
                )
                .await;
                return self.heard(stopped);
            }
            let Some(single) = single else { break };
            match &single.how {
                How::Recorded(template) => {
                    let message = template.stamp(head).map_err(no_name)?;
                    match self.send(&message, template.longest).await? {
                        Outcome::Done => {}
                        Outcome::Refused {
                            completed,
                            ended,
                            error,
                        } => {
                            let failure = template.failure(head, completed, ended, error);
                            return Err(self.escaped(held, single, *done, failure).await);
                        }
                    }
                }
                How::Bare(bare) => {
                    self.bare(held, single, bare, &progress).await?;
                }
            }
            progress = Progress {
                done: progress.done + 1,
                open: None,
            };
        }
        let (version, digest) = alone.leaves();
        let connection = self.session().await?.connection();
        let finished = timely(
            grace,
            statements::finish(connection, head, *done, version, digest),
        )
        .await;
        self.heard(finished)
    }

    /// What was said by a query of ours; a session that failed it is not used again.
    pub(super) fn heard<T>(&mut self, said: Result<T, StoreError>) -> Result<T, Setback> {
        said.map_err(|error| {
            let error = match error {
                StoreError::Query { error, .. } => error,
                error => ServerError::local(error.to_string()),
            };
            match error.code.as_str() {
                "" => {
                    self.session = None;
                    SessionError::Lost(error).into()
                }
                code => Failure::without_place(Fault::of(code), error).into(),
            }
        })
    }

    pub(super) async fn clear(&mut self, what: &'static str) -> Result<(), SessionError> {
        let connection = self.session().await?.connection();
        let cleared = sqlx::raw_sql(what).execute(connection).await;
        cleared
            .map(drop)
            .map_err(|error| SessionError::Lost(ServerError::of(&error)))
    }

    /// A statement that ended the transaction it shared with its record: nobody knows what it did after that.
    async fn escaped(
        &mut self,
        held: Held<'_>,
        single: &Single,
        done: usize,
        failure: Failure,
    ) -> Setback {
        if failure.fault != Fault::Escaped {
            return failure.into();
        }
        let failure = Failure {
            place: Some(Place::of(&single.origin, None)),
            ..failure
        };
        self.dirty(held, done, failure).await
    }

    /// Records that nobody can tell how much of the next statement was done.
    pub(super) async fn dirty(&mut self, held: Held<'_>, done: usize, failure: Failure) -> Setback {
        let Held { alone, head, .. } = held;
        let grace = self.limits.grace;
        let note = format!("{}: {}", alone.nth(done), failure.error.message);
        let marked = match self.session().await {
            Ok(session) => {
                let stopped = timely(
                    grace,
                    statements::stop(session.connection(), head, done, &note, true),
                )
                .await;
                self.heard(stopped)
            }
            Err(error) => Err(error.into()),
        };
        match marked {
            Ok(()) => Setback {
                is_recorded: true,
                ..failure.into()
            },
            // It is found as it is by whoever comes next.
            Err(other) => other,
        }
    }
}

/// After the last statement.
const RELEASE: &str =
    "RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; CLOSE ALL; UNLISTEN *;
     SELECT pg_catalog.pg_advisory_unlock_all(); RESET ALL";
