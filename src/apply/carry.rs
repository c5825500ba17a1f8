//! Takes one target through its messages: retries what may be retried, and finds out what an unknown end was.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Failure, Limits, Noticed, Patience, Place, Rung, Template,
    compile::{Compiled, Cut, Part, compile},
};
use crate::{
    history::Head,
    migration::Version,
    plan::Plan,
    postgres::{
        Blocker, Fault, Message, Outcome, ServerError, Session, SessionError, Shard, Watch,
    },
    store::{StoreError, heads, notices::Row},
};

/// Carries plans to one target after the other, on a session that it makes when it needs one.
#[derive(Debug)]
pub struct Carrier<'a> {
    pub(super) shard: &'a Shard,
    pub(super) limits: &'a Limits,
    pub(super) session: Option<Session>,
    pub(super) stop: CancellationToken,
    unsure: bool,
    /// Who was in the way of the last try.
    pub(super) blockers: Vec<Blocker>,
    /// What the server said to the target at hand.
    pub(super) noticed: Vec<Noticed>,
    /// What it said to all, as far as the shard does not have it yet.
    pub(super) unsaved: Vec<Row>,
}

/// Looking more often would be work for the server; more seldom, and a deadlock is over (after 1 s) before it is seen.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(400));

/// What was done to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// How many migrations were committed, up or down.
    pub migrations: usize,
    /// Why it ended before the goal, if it did.
    pub failure: Option<Failure>,
    /// What the server said while they ran.
    pub noticed: Vec<Noticed>,
}

impl<'a> Carrier<'a> {
    /// A carrier that has no session yet.
    pub fn new(shard: &'a Shard, limits: &'a Limits) -> Self {
        Self {
            shard,
            limits,
            session: None,
            stop: CancellationToken::new(),
            unsure: false,
            blockers: Vec::new(),
            noticed: Vec::new(),
            unsaved: Vec::new(),
        }
    }

    /// A carrier that goes on with a session.
    pub fn with_session(shard: &'a Shard, limits: &'a Limits, session: Session) -> Self {
        Self {
            session: Some(session),
            ..Self::new(shard, limits)
        }
    }

    /// Gives up waiting for another try as soon as this is cancelled.
    #[must_use]
    pub fn until(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Whether the next target may be at its goal already, because a connection broke on the way there.
    pub fn unsure(&mut self, unsure: bool) -> &mut Self {
        self.unsure = unsure;
        self
    }

    /// Carries `plan`, compiled as `compiled`, to the schema of `head`.
    pub async fn carry(&mut self, plan: &Plan, compiled: &Compiled, head: &Head) -> Carried {
        let carried = self.all(plan, compiled, head).await;
        self.save_many().await;
        Carried {
            noticed: std::mem::take(&mut self.noticed),
            ..carried
        }
    }

    async fn all(&mut self, plan: &Plan, compiled: &Compiled, head: &Head) -> Carried {
        let mut head = head.clone();
        let carried = self.parts(&compiled.parts, &mut head).await;
        let finer = carried.failure.as_ref();
        if finer.is_none_or(|failure| failure.fault != Fault::Finer) {
            return carried;
        }
        // A transaction a migration for what is left.
        let fine = compile(plan, self.limits, Cut::Fine, compiled.audit);
        let done = carried.migrations;
        let rest = self.parts(fine.left(done), &mut head).await;
        Carried {
            migrations: done + rest.migrations,
            ..rest
        }
    }

    /// A session on the shard: the one at hand, or a new one where there is none or where that one has touched so much
    /// that the server remembers too much for it.
    pub async fn session(&mut self) -> Result<&mut Session, SessionError> {
        let most = self.limits.relations;
        if let Some(worn) = self.session.take_if(|session| session.touched() >= most) {
            worn.close().await;
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => self.shard.connect().await?,
        };
        Ok(self.session.insert(session))
    }

    /// Whether the schema stands exactly where `compiled` takes the one of `head`, as far as that can be told.
    pub async fn has_arrived(&mut self, compiled: &Compiled, head: &Head) -> bool {
        let after = |head: Head, part: &Part| part.after(&head);
        let after = compiled.parts.iter().fold(head.clone(), after);
        self.is_at(&after).await
    }

    /// Whether a session is at hand now.
    pub async fn connected(&mut self) -> bool {
        self.session().await.is_ok()
    }

    /// The same, past whatever pooler may be in between.
    pub(super) async fn direct_session(&mut self) -> Result<&mut Session, SessionError> {
        let most = self.limits.relations;
        let is_unfit = |session: &mut Session| session.is_pooled() || session.touched() >= most;
        if let Some(unfit) = self.session.take_if(is_unfit) {
            unfit.close().await;
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => self.shard.connect_directly().await?,
        };
        Ok(self.session.insert(session))
    }

    /// The session that is at hand, however worn it is, for whoever holds a lock on it: another one would be without.
    pub(super) fn same_session(&mut self) -> Result<&mut Session, SessionError> {
        self.session.as_mut().ok_or_else(|| {
            let gone = "the connection that held the schema's lock is gone";
            SessionError::Lost(ServerError::local(gone.to_owned()))
        })
    }

    /// The session, where there is one that still works.
    pub fn into_session(self) -> Option<Session> {
        self.session
    }

    /// Gives the session back to the server.
    pub async fn close(mut self) {
        self.save().await;
        if let Some(session) = self.session {
            session.close().await;
        }
    }

    /// Carries parts of a plan, and moves `head` on with each.
    async fn parts(&mut self, parts: &[Part], head: &mut Head) -> Carried {
        let mut carried = Carried::default();
        for part in parts {
            let ended = match part {
                Part::Message(message) => self.message(message, head).await,
                Part::Alone(alone) => self.alone(alone, head).await,
            };
            if let Err(failure) = ended {
                carried.failure = Some(failure);
                break;
            }
            *head = part.after(head);
            carried.migrations += part.migrations();
        }
        carried
    }

    /// One message, until it is committed or there is no use in trying again.
    async fn message(&mut self, template: &Template, head: &Head) -> Result<(), Failure> {
        let invalid = |error: crate::sql::InvalidIdent| ServerError::local(error.to_string());
        let after = template.after(head);
        let mut patience = Patience::new(self.limits);
        let unsure = std::mem::take(&mut self.unsure);
        loop {
            let rung = patience.rung();
            let message = template
                .stamp(head, rung)
                .map_err(|e| Failure::without_place(Fault::Gone, invalid(e)))?;
            let wait = template.shortest_wait(rung);
            let tried = self.send(&message, template.longest, wait).await;
            let unreachable = matches!(tried, Err(SessionError::Connect { .. }));
            let mut failure = match tried {
                Ok(Outcome::Done) => {
                    self.note(template, head);
                    return Ok(());
                }
                Ok(Outcome::Refused {
                    completed,
                    ended,
                    error,
                }) => template.failure(head, rung, completed, ended, error),
                Err(error) => lost(error),
            };
            failure.tries = patience.tries();
            // After a lost connection the same message is sent again: when the first one was committed after all, the
            // revision has moved and the second is refused as stale. History is read under the lock only (`enter`).
            // An error after the COMMIT is no escape either: all of it is recorded.
            let unsure = match failure.fault {
                Fault::Stale => unsure || patience.has_reconnected(),
                // No other try will tell how this one ended.
                Fault::Escaped | Fault::Cancelled => true,
                _ => false,
            };
            if unsure && self.is_at(&after).await {
                return Ok(());
            }
            if failure.fault == Fault::Escaped {
                failure.place = self.halt(template, head).await;
            }
            let delay = match unreachable {
                true => patience.restart(),
                false => patience.delay(failure.fault),
            };
            if let Some(delay) = delay {
                tell(head, &failure, &self.blockers, delay);
            }
            // After it was told: what others' sessions run may hold a tenant's data, and is for the report alone.
            let failure = failure.blocked_by(&self.blockers);
            let Some(delay) = delay else {
                return Err(failure);
            };
            let waited = self.stop.run_until_cancelled(tokio::time::sleep(delay));
            if waited.await.is_none() {
                // No other try will tell how this one ended.
                let committed = failure.fault == Fault::Connection && self.is_at(&after).await;
                return if committed { Ok(()) } else { Err(failure) };
            }
        }
    }

    /// A template's message, once, on the session that is at hand.
    pub(super) async fn once(
        &mut self,
        template: &Template,
        message: &Message,
        rung: Rung,
    ) -> Result<Outcome, SessionError> {
        let wait = template.shortest_wait(rung);
        self.ask(message, template.longest, wait).await
    }

    /// One try. A server that can no longer be heard is not waited for without an end: `longest` is what the statements
    /// may take together.
    pub(super) async fn send(
        &mut self,
        message: &Message,
        longest: Option<Duration>,
        wait: Option<Duration>,
    ) -> Result<Outcome, SessionError> {
        self.session().await?;
        self.ask(message, longest, wait).await
    }

    async fn ask(
        &mut self,
        message: &Message,
        longest: Option<Duration>,
        wait: Option<Duration>,
    ) -> Result<Outcome, SessionError> {
        let watch = self.watch(longest, wait);
        let session = self.same_session()?;
        let outcome = session.ask(message, watch, &mut None).await;
        self.blockers = session.blockers().to_vec();
        if outcome.is_err() {
            self.session = None;
        }
        outcome
    }

    /// How closely it is looked at what takes so long at most, and waits so long for a lock.
    pub(super) fn watch(&self, longest: Option<Duration>, wait: Option<Duration>) -> Watch {
        let wait = wait.unwrap_or(self.limits.lock_timeout);
        Watch {
            deadline: longest.map(|longest| longest.saturating_add(self.limits.grace)),
            // Within each wait for a lock, and early enough for a look that takes its time.
            look: (wait / 3).clamp(LOOKS.0, LOOKS.1),
            silence: self.limits.grace,
            ..Watch::default()
        }
    }

    /// Whether the schema stands exactly where the message would have left it: the revision alone may have been reached
    /// by somebody else.
    pub(super) async fn is_at(&mut self, after: &Head) -> bool {
        self.head(after).await.as_ref() == Some(after)
    }

    /// The head of the schema now, as far as it can be had.
    async fn head(&mut self, head: &Head) -> Option<Head> {
        let schema = crate::sql::Ident::new(head.schema.as_str()).ok()?;
        let grace = self.limits.grace;
        let session = self.session().await.ok()?;
        let read = tokio::time::timeout(grace, heads::get(session.connection(), &schema));
        let Ok(Ok(now)) = read.await else {
            self.session = None;
            return None;
        };
        now.map(|pinned| pinned.head)
            .filter(|now| now.schema_oid == head.schema_oid)
    }

    /// Halts a tenant whose script ended our transaction: what it committed is in no record. Returns the script.
    async fn halt(&mut self, template: &Template, head: &Head) -> Option<Place> {
        // The steps before it are committed with their record: the next one is to blame.
        let now = self.head(head).await;
        let recorded = now.map_or(0, |now| now.revision - head.revision);
        let step = usize::try_from(recorded).unwrap_or(0);
        let origin = template.steps.get(step).or(template.steps.last())?;
        // A repeatable has no version; whoever comes after it is halted all the same.
        let version = origin
            .version
            .or(head.version)
            .unwrap_or_else(|| Version::new(0));
        if let Err(error) = self.mark_dirty(head, version).await {
            tracing::error!(schema = head.schema, %error, "a script ended its transaction, and the schema could not be marked as dirty");
        }
        Some(Place::of(origin, None))
    }

    async fn mark_dirty(&mut self, head: &Head, version: Version) -> Result<(), StoreError> {
        let session = self.session().await.map_err(|error| StoreError::Query {
            doing: "mark a schema as dirty",
            error: ServerError::local(error.to_string()),
        })?;
        let marked = heads::mark_dirty(session.connection(), head.schema_oid, version).await;
        if marked.is_err() {
            self.session = None;
        }
        marked
    }
}

/// A pause from which on it is worth a warning that a schema is not to be had.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// One line for each try that was in vain, with who was in its way.
pub(super) fn tell(head: &Head, failure: &Failure, blockers: &[Blocker], pause: Duration) {
    let (schema, tries) = (&head.schema, failure.tries);
    let blockers: Vec<_> = blockers.iter().map(Blocker::without_query).collect();
    let blockers = blockers.join("; ");
    match failure.fault {
        Fault::Retry if pause >= LONG_PAUSE => {
            tracing::warn!(schema, tries, ?pause, blockers, "{failure}; trying again");
        }
        Fault::Retry => tracing::info!(schema, tries, ?pause, blockers, "{failure}; trying again"),
        _ => tracing::debug!(schema, tries, ?pause, blockers, "{failure}; trying again"),
    }
}

/// The failure of a message whose end nobody saw.
pub(super) fn lost(error: SessionError) -> Failure {
    let fault = Fault::of_session(&error);
    let (what, error) = match error {
        SessionError::Cancelled(error) => return Failure::without_place(fault, error),
        SessionError::Lost(error) => ("the connection was lost".to_owned(), error),
        SessionError::Connect {
            shard,
            address,
            error,
            ..
        } => (format!("cannot connect to {shard} at {address}"), error),
        pooled @ SessionError::Pooled { .. } => {
            return Failure::without_place(fault, pooled.into_error());
        }
    };
    let error = ServerError {
        message: format!("{what}: {}", error.message),
        ..error
    };
    Failure::without_place(fault, error)
}
