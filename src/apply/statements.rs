//! Carries a migration that is no transaction: statement by statement, with a record of each, so that anybody can go on
//! where somebody was cut off.
//!
//! The schema's own lock is held for the session. Whoever has it knows that nobody else's statement is running any more,
//! and finds in the record which one that was, in the catalog what became of it.

use std::time::{Duration, Instant};

use super::{
    Alone, Carrier, Failure, Patience, Place,
    alone::{Bare, How, Single},
    carry::lost,
    postcondition::Found,
};
use crate::{
    history::Head,
    postgres::{Ended, Fault, Message, Outcome, ServerError, SessionError},
    sql::InvalidIdent,
    store::{
        StoreError,
        statements::{self, Before, Progress},
    },
};

/// Between two looks whether it is our turn.
const PAUSE: Duration = Duration::from_millis(20);

/// So often what a statement left is mended before it is given up.
const MENDS: usize = 3;

/// Why a walk through the statements ended before the last one.
struct Setback {
    failure: Failure,
    /// The server took no connection.
    unreachable: bool,
    /// The record says so already.
    is_recorded: bool,
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
    pub(super) async fn alone(&mut self, alone: &Alone, head: &Head) -> Result<(), Failure> {
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
        let failure = setback.failure;
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
                    return why;
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
        let session = self.session().await?;
        let locked = statements::lock(session.connection(), head.schema_oid).await;
        let Some(pid) = self.heard(locked)? else {
            return Err(busy("another session is at work on this schema").into());
        };
        let walked = self.locked(alone, head, pid, done, aim).await;
        // Everything that is held is let go of with the session, where that is broken.
        if self.session.is_some() && self.clear(RELEASE).await.is_err() {
            self.session = None;
        }
        walked
    }

    /// With the schema's lock in hand.
    async fn locked(
        &mut self,
        alone: &Alone,
        head: &Head,
        pid: i32,
        done: &mut usize,
        aim: Aim<'_>,
    ) -> Result<(), Setback> {
        let (limits, migration) = (self.limits, &alone.migration);
        let connection = self.session().await?.connection();
        let begun =
            statements::begin(connection, head, migration, alone.direction, &limits.who).await;
        let mut progress = self.heard(begun)?;
        loop {
            *done = progress.done;
            let single = alone.single.get(progress.done);
            if let Aim::Stop(failure) = &aim {
                let note = format!("{}: {}", alone.nth(progress.done), failure.error);
                let mut stands = progress.done;
                if let (Some(single), Some(before)) = (single, progress.open) {
                    let settled = self
                        .settle(alone, single, head, pid, stands, before)
                        .await?;
                    stands += usize::from(settled);
                }
                let connection = self.session().await?.connection();
                let stopped = statements::stop(connection, head, stands, &note, false).await;
                return self.heard(stopped).map_err(Setback::from);
            }
            let Some(single) = single else { break };
            match &single.how {
                How::Recorded(template) => {
                    let message = template.stamp(head).map_err(no_name)?;
                    match self.once(template, &message).await? {
                        Outcome::Done => {}
                        Outcome::Refused {
                            completed,
                            ended,
                            error,
                        } => {
                            let failure = template.failure(head, completed, ended, error);
                            return Err(self.escaped(alone, single, head, *done, failure).await);
                        }
                    }
                }
                How::Bare(bare) => {
                    self.bare(alone, single, bare, head, pid, &progress).await?;
                }
            }
            progress = Progress {
                done: progress.done + 1,
                open: None,
            };
        }
        let (version, digest) = alone.leaves();
        let connection = self.session().await?.connection();
        let finished = statements::finish(connection, head, *done, version, digest).await;
        Ok(self.heard(finished)?)
    }

    /// A statement that no transaction takes, from wherever it was left.
    async fn bare(
        &mut self,
        alone: &Alone,
        single: &Single,
        bare: &Bare,
        head: &Head,
        pid: i32,
        progress: &Progress,
    ) -> Result<(), Setback> {
        let done = progress.done;
        if let Some(before) = progress.open
            && self.settle(alone, single, head, pid, done, before).await?
        {
            return Ok(());
        }
        self.prepare(bare, head).await?;
        let connection = self.session().await?.connection();
        let before = match progress.open {
            Some(before) => before,
            None => {
                let before = bare.postcondition.before(connection).await;
                self.heard(before.map_err(seen))?
            }
        };
        let note = format!("{} is under way", alone.nth(done));
        let connection = self.session().await?.connection();
        let opened = statements::open(connection, head, done, before, &note).await;
        self.heard(opened)?;
        let message = bare.statement.stamp(head).map_err(no_name)?;
        if let Outcome::Refused { error, .. } = self.within(&message, bare, pid).await? {
            let failure = bare.statement.failure(head, 0, Ended::RolledBack, error);
            if bare.postcondition.is_all_or_nothing() {
                let connection = self.session().await?.connection();
                let closed = statements::close(connection, head, done, false).await;
                self.heard(closed)?;
            }
            return Err(failure.into());
        }
        match self.look(bare, head, pid, before, true).await? {
            Found::Done => self.close_statement(head, done, true).await,
            Found::Invalid(why) => Err(unmet(single, why).into()),
            _ => {
                let why = "the server said that it was done, but the catalog does not show it";
                Err(unmet(single, why.to_owned()).into())
            }
        }
    }

    /// Finds out what became of a statement that was begun, and clears up after it: true when it was done, and recorded.
    async fn settle(
        &mut self,
        alone: &Alone,
        single: &Single,
        head: &Head,
        pid: i32,
        done: usize,
        before: Before,
    ) -> Result<bool, Setback> {
        let How::Bare(bare) = &single.how else {
            return Ok(false);
        };
        self.prepare(bare, head).await?;
        match self.look(bare, head, pid, before, false).await? {
            Found::Done => {
                self.close_statement(head, done, true).await?;
                Ok(true)
            }
            Found::Unsure => {
                let what = "nothing tells how much of it was done";
                let failure = Failure {
                    fault: Fault::Dirty,
                    ..unmet(single, format!("the statement was cut off, and {what}"))
                };
                Err(self.dirty(alone, head, done, failure).await)
            }
            _ => {
                self.close_statement(head, done, false).await?;
                Ok(false)
            }
        }
    }

    /// Looks at the catalog, and mends what is broken, until it says one thing or the other.
    async fn look(
        &mut self,
        bare: &Bare,
        head: &Head,
        pid: i32,
        before: Before,
        ran: bool,
    ) -> Result<Found, Setback> {
        for _ in 0..MENDS {
            let connection = self.session().await?.connection();
            let found = bare.postcondition.look(connection, before, ran).await;
            match self.heard(found.map_err(seen))? {
                Found::Broken(mends) => {
                    for mend in mends {
                        if let Outcome::Refused { error, .. } =
                            self.within(&mend, bare, pid).await?
                        {
                            let fault = Fault::of(&error.code);
                            return Err(Failure::without_place(fault, error).into());
                        }
                    }
                }
                Found::Building => {
                    return Err(busy("another session is building indexes on this table").into());
                }
                found => return Ok(found),
            }
        }
        let what = format!("what a statement left in {} cannot be mended", head.schema);
        Err(Failure::without_place(Fault::Tenant, ServerError::local(what)).into())
    }

    /// Waits for its turn, and sets what it runs under.
    async fn prepare(&mut self, bare: &Bare, head: &Head) -> Result<(), Setback> {
        let start = Instant::now();
        while bare.postcondition.is_queued() {
            let connection = self.session().await?.connection();
            let queued = statements::queue(connection).await;
            if self.heard(queued)? {
                break;
            }
            let waited = self
                .stop
                .run_until_cancelled(tokio::time::sleep(PAUSE))
                .await;
            let is_late = bare.deadline.is_some_and(|limit| start.elapsed() > limit);
            if waited.is_none() || is_late {
                let what = "other indexes of this database are built or dropped concurrently, one after the other";
                return Err(busy(what).into());
            }
        }
        let settings = bare.settings.stamp(head).map_err(no_name)?;
        match self.once(&bare.settings, &settings).await? {
            Outcome::Done => Ok(()),
            Outcome::Refused { error, .. } => {
                Err(Failure::without_place(Fault::of(&error.code), error).into())
            }
        }
    }

    /// Records a statement as done, or as not begun, and lets the next one have its turn.
    async fn close_statement(
        &mut self,
        head: &Head,
        done: usize,
        is_done: bool,
    ) -> Result<(), Setback> {
        let connection = self.session().await?.connection();
        let closed = statements::close(connection, head, done, is_done).await;
        self.heard(closed)?;
        self.clear(NEXT).await.map_err(Setback::from)
    }

    /// Sends what may take long. When its time is over it is cancelled; a server that does not even do that is given up.
    async fn within(
        &mut self,
        message: &Message,
        bare: &Bare,
        pid: i32,
    ) -> Result<Outcome, Setback> {
        let (shard, grace) = (self.shard, self.limits.grace);
        let session = self.session().await?;
        let outcome = {
            let mut sent = std::pin::pin!(session.send(message));
            match bare.deadline {
                None => sent.await,
                Some(deadline) => match tokio::time::timeout(deadline, &mut sent).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        let cancel = async {
                            let mut other = shard.connect().await?;
                            let _ = statements::cancel(other.connection(), pid).await;
                            other.close().await;
                            Ok::<_, SessionError>(())
                        };
                        // Where that is not possible, the server's own limit is a little longer.
                        let _ = tokio::time::timeout(grace, cancel).await;
                        let ended = tokio::time::timeout(grace.saturating_mul(2), sent).await;
                        ended.map_or_else(
                            |_| Err(silent(deadline)),
                            |o| o.map(|o| late(o, deadline)),
                        )
                    }
                },
            }
        };
        if outcome.is_err() {
            self.session = None;
        }
        Ok(outcome?)
    }

    /// What was said by a query of ours; a session that failed it is not used again.
    fn heard<T>(&mut self, said: Result<T, StoreError>) -> Result<T, Failure> {
        said.map_err(|error| {
            let error = match error {
                StoreError::Query { error, .. } => error,
                error => ServerError::local(error.to_string()),
            };
            match error.code.as_str() {
                "" => {
                    self.session = None;
                    lost(SessionError::Lost(error))
                }
                code => Failure::without_place(Fault::of(code), error),
            }
        })
    }

    async fn clear(&mut self, what: &'static str) -> Result<(), SessionError> {
        let connection = self.session().await?.connection();
        let cleared = sqlx::raw_sql(what).execute(connection).await;
        cleared
            .map(drop)
            .map_err(|error| SessionError::Lost(ServerError::of(&error)))
    }

    /// A statement that ended the transaction it shared with its record: nobody knows what it did after that.
    async fn escaped(
        &mut self,
        alone: &Alone,
        single: &Single,
        head: &Head,
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
        self.dirty(alone, head, done, failure).await
    }

    /// Records that nobody can tell how much of the next statement was done.
    async fn dirty(
        &mut self,
        alone: &Alone,
        head: &Head,
        done: usize,
        failure: Failure,
    ) -> Setback {
        let note = format!("{}: {}", alone.nth(done), failure.error.message);
        let marked = match self.session().await {
            Ok(session) => {
                let stopped = statements::stop(session.connection(), head, done, &note, true).await;
                self.heard(stopped)
            }
            Err(error) => Err(lost(error)),
        };
        match marked {
            Ok(()) => Setback {
                is_recorded: true,
                ..failure.into()
            },
            // It is found as it is by whoever comes next.
            Err(other) => other.into(),
        }
    }
}

/// After the last statement.
const RELEASE: &str =
    "RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; CLOSE ALL; UNLISTEN *;
     SELECT pg_catalog.pg_advisory_unlock_all(); RESET ALL";

/// After a statement that was sent by itself: what it ran under is taken back, and somebody else has the turn.
const NEXT: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; DISCARD TEMP; CLOSE ALL; UNLISTEN *; RESET ALL;
     SELECT pg_catalog.pg_advisory_unlock(1953395321, 1)
      where exists (select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()
                       and classid = 1953395321 and objid = 1 and objsubid = 2)";

/// The error of a statement whose time was over.
fn late(outcome: Outcome, deadline: Duration) -> Outcome {
    match outcome {
        Outcome::Refused {
            completed,
            ended,
            error,
        } if error.code == "57014" => Outcome::Refused {
            completed,
            ended,
            error: ServerError {
                message: format!("the statement did not end within {deadline:?} and was cancelled"),
                hint: Some(
                    "a long transaction may have held it up; for more time, put a line at the top of the script: \
                     -- tenantry: statement-timeout=1h"
                        .to_owned(),
                ),
                ..error
            },
        },
        outcome => outcome,
    }
}

fn silent(deadline: Duration) -> SessionError {
    let silence =
        format!("the server gave no answer within {deadline:?}, nor when it was asked to cancel");
    SessionError::Lost(ServerError::local(silence))
}

fn busy(what: &str) -> Failure {
    let error = ServerError {
        code: "TN001".to_owned(),
        ..ServerError::local(what.to_owned())
    };
    Failure::without_place(Fault::Busy, error)
}

/// A statement whose end is not what it should be.
fn unmet(single: &Single, what: String) -> Failure {
    Failure {
        place: Some(Place::of(&single.origin, None)),
        ..Failure::without_place(Fault::Tenant, ServerError::local(what))
    }
}

fn no_name(error: InvalidIdent) -> Failure {
    Failure::without_place(Fault::Gone, ServerError::local(error.to_string()))
}

fn seen(error: sqlx::Error) -> StoreError {
    StoreError::Query {
        doing: "look at what a statement left",
        error: ServerError::of(&error),
    }
}

impl From<Failure> for Setback {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            unreachable: false,
            is_recorded: false,
        }
    }
}

impl From<SessionError> for Setback {
    fn from(error: SessionError) -> Self {
        let unreachable = matches!(error, SessionError::Connect { .. });
        Self {
            unreachable,
            ..lost(error).into()
        }
    }
}
