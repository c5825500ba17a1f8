//! Carries a migration that is no transaction: statement by statement, with a record of each, so that anybody can go on
//! where somebody was cut off.
//!
//! The schema's own lock is held for the session. Whoever has it knows that nobody else's statement is running any more,
//! and finds in the record which one that was, in the catalog what became of it.

use std::time::Instant;

use super::{
    super::{Carrier, Failure, Patience, Place, Rung, compile::RESET, patience::tell},
    Alone, How, Single,
    bare::PAUSE,
    setback::{Setback, busy, no_name, seen, timely},
};
use crate::{
    history::Head,
    postgres::{Blocker, Fault, Outcome, ServerError, SessionError},
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
    /// To carry out what is left, as patiently as this.
    Finish(Rung),
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
            let aim = Aim::Finish(patience.rung());
            let walked = self.walk(alone, head, &mut done, aim).await;
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
                return Err(self.stop_at(alone, head, done, setback).await);
            };
            let blockers = std::mem::take(&mut setback.failure.blockers);
            tell(head, &setback.failure, &blockers, delay);
            setback.failure.blockers = blockers;
            let waited = self.stop.run_until_cancelled(tokio::time::sleep(delay));
            if waited.await.is_none() {
                return Err(self.stop_at(alone, head, done, setback).await);
            }
        }
    }

    /// Records why it ends here, once nothing is left of the statement that failed. What cannot be done now is done by
    /// whoever goes on with it: the record has the statement.
    async fn stop_at(
        &mut self,
        alone: &Alone,
        head: &Head,
        done: usize,
        setback: Setback,
    ) -> Failure {
        let mut failure = *setback.failure;
        let is_ours = !matches!(
            failure.fault,
            Fault::Stale | Fault::Gone | Fault::Dirty | Fault::Unfinished | Fault::Connection
        );
        if is_ours && !setback.is_recorded {
            let stopped = self.walk(alone, head, &mut 0, Aim::Stop(&failure)).await;
            if let Err(Setback { failure: why, .. }) = stopped {
                tracing::warn!(schema = head.schema, %why, "what a failed statement left is cleared up by the next run");
                if why.fault == Fault::Dirty {
                    return *why;
                }
            }
            if done > 0 {
                let goes_on = "the statements before it stay as they are, and the next run goes on with this one";
                failure.error.hint.get_or_insert_with(|| goes_on.to_owned());
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
        let session = self.direct_session().await?;
        let locked = timely(
            grace,
            statements::lock(session.connection(), head.schema_oid),
        )
        .await;
        let Some(pid) = self.heard(locked)? else {
            let nothing_begun = Setback {
                is_recorded: true,
                ..busy("another session is at work on this schema").into()
            };
            return Err(nothing_begun);
        };
        let walked = self.locked(Held { alone, head, pid }, done, aim).await;
        // Everything that is held is let go of with the session, where that is broken.
        if self.session.is_some() && self.clear(RESET).await.is_err() {
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
        let connection = self.same_session()?.connection();
        let begun = timely(
            grace,
            statements::begin(connection, head, migration, alone.direction, &limits.who),
        )
        .await;
        let mut progress = self.heard(begun)?;
        loop {
            *done = progress.done;
            let single = alone.single.get(progress.done);
            let rung = match &aim {
                Aim::Stop(failure) => return self.stop_here(held, progress, failure).await,
                Aim::Finish(rung) => *rung,
            };
            let Some(single) = single else { break };
            match &single.how {
                How::Recorded(template) => {
                    let message = template.stamp(head, rung).map_err(no_name)?;
                    match self.once(template, &message, rung).await? {
                        Outcome::Done => {}
                        Outcome::Refused {
                            completed,
                            ended,
                            error,
                        } => {
                            let failure = template.failure(head, rung, completed, ended, error);
                            let failure = failure.blocked_by(&self.blockers);
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
        let connection = self.same_session()?.connection();
        let finished = timely(
            grace,
            statements::finish(connection, head, *done, version, digest),
        )
        .await;
        self.heard(finished)
    }

    /// Clears up after the statement that was begun, where one was, and records why it ends here.
    async fn stop_here(
        &mut self,
        held: Held<'_>,
        progress: Progress,
        failure: &Failure,
    ) -> Result<(), Setback> {
        let Held { alone, head, .. } = held;
        let grace = self.limits.grace;
        let note = format!("{}: {}", alone.nth(progress.done), failure.error);
        let mut done = progress.done;
        if let (Some(single), Some(before)) = (alone.single.get(done), progress.open) {
            let settled = self.settle(held, (single, done), before, Some(failure));
            match settled.await {
                Ok(settled) => done += usize::from(settled),
                Err(setback) => {
                    // Whoever comes next clears up; people are told why already now.
                    if !setback.is_recorded
                        && let Ok(session) = self.same_session()
                    {
                        let connection = session.connection();
                        let noted = statements::open(connection, head, done, before, &note);
                        let noted = timely(grace, noted).await;
                        self.heard(noted)?;
                    }
                    return Err(setback);
                }
            }
        }
        let connection = self.same_session()?.connection();
        let stopped = timely(
            grace,
            statements::stop(connection, head, done, &note, false),
        );
        let stopped = stopped.await;
        self.heard(stopped)
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
                _ => Failure::without_place(Fault::of(&error), error).into(),
            }
        })
    }

    /// Takes back what a statement left to the session.
    pub(super) async fn clear(&mut self, what: &'static str) -> Result<(), Setback> {
        let grace = self.limits.grace;
        let connection = self.same_session()?.connection();
        let cleared = seen(sqlx::raw_sql(what).execute(connection));
        let cleared = timely(grace, cleared).await;
        self.heard(cleared.map(drop))
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

    /// Records that nobody can tell how much of the next statement was done. What a refused statement leaves to the session
    /// is taken back at once, and the schema's lock with it; so each of our functions tries that lock itself (`hold`), and
    /// writes nothing where somebody else has it or has gone on.
    pub(super) async fn dirty(&mut self, held: Held<'_>, done: usize, failure: Failure) -> Setback {
        let Held { alone, head, .. } = held;
        let grace = self.limits.grace;
        // What others' sessions run may hold a tenant's data, and is for the report alone.
        let blockers = failure.blockers.iter().map(Blocker::without_query);
        let blockers = blockers.map(|blocker| format!("; blocked by {blocker}"));
        let note = format!(
            "{}: {}{}",
            alone.nth(done),
            failure.error,
            blockers.collect::<String>()
        );
        let start = Instant::now();
        let marked = loop {
            let marked = match self.same_session() {
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
                // Whoever only looks at the schema has it for a moment.
                Err(other) if other.failure.fault == Fault::Busy && start.elapsed() < grace => {
                    tokio::time::sleep(PAUSE).await;
                }
                marked => break marked,
            }
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
