//! Takes one target through its messages: retries what may be retried, and finds out what an unknown end was.

use super::{
    Failure, Limits, Patience, Place, Template,
    compile::{Compiled, Cut, compile},
};
use crate::{
    history::Head,
    migration::Version,
    plan::Plan,
    postgres::{Fault, Message, Outcome, ServerError, Session, SessionError, Shard},
    store::{StoreError, heads},
};

/// Carries plans to one target after the other, on a session that it makes when it needs one.
#[derive(Debug)]
pub struct Carrier<'a> {
    shard: &'a Shard,
    limits: &'a Limits,
    session: Option<Session>,
}

/// What was done to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// How many migrations were committed, up or down.
    pub migrations: usize,
    /// Why it ended before the goal, if it did.
    pub failure: Option<Failure>,
}

impl<'a> Carrier<'a> {
    /// A carrier that has no session yet.
    pub fn new(shard: &'a Shard, limits: &'a Limits) -> Self {
        Self {
            shard,
            limits,
            session: None,
        }
    }

    /// A carrier that goes on with a session.
    pub fn with_session(shard: &'a Shard, limits: &'a Limits, session: Session) -> Self {
        Self {
            shard,
            limits,
            session: Some(session),
        }
    }

    /// Carries `plan`, compiled as `compiled`, to the schema of `head`.
    pub async fn carry(&mut self, plan: &Plan, compiled: &Compiled, head: &Head) -> Carried {
        let carried = self.messages(&compiled.messages, head, 0).await;
        let finer = carried.failure.as_ref();
        if finer.is_none_or(|failure| failure.fault != Fault::Finer) {
            return carried;
        }
        // A transaction a migration for what is left: each of them raises the revision by one.
        let fine = compile(plan, self.limits, Cut::Fine);
        let done = carried.migrations;
        let ahead = i64::try_from(done).unwrap_or(i64::MAX);
        let rest = fine.messages.get(done..).unwrap_or_default();
        let rest = self.messages(rest, head, ahead).await;
        Carried {
            migrations: done + rest.migrations,
            ..rest
        }
    }

    /// A session on the shard: the one at hand, or a new one.
    pub async fn session(&mut self) -> Result<&mut Session, SessionError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.shard.connect().await?,
        };
        Ok(self.session.insert(session))
    }

    /// The session, where there is one that still works.
    pub fn into_session(self) -> Option<Session> {
        self.session
    }

    /// Gives the session back to the server.
    pub async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }

    async fn messages(&mut self, messages: &[Template], head: &Head, mut ahead: i64) -> Carried {
        let mut carried = Carried::default();
        for message in messages {
            if let Err(failure) = self.message(message, head, ahead).await {
                carried.failure = Some(failure);
                break;
            }
            ahead += message.revisions;
            carried.migrations += message.migrations;
        }
        carried
    }

    /// One message, until it is committed or there is no use in trying again.
    async fn message(
        &mut self,
        template: &Template,
        head: &Head,
        ahead: i64,
    ) -> Result<(), Failure> {
        let invalid = |error: crate::sql::InvalidIdent| ServerError::local(error.to_string());
        let message = template
            .stamp(head, ahead)
            .map_err(|e| Failure::without_place(Fault::Gone, invalid(e)))?;
        let mut patience = Patience::new(self.limits);
        loop {
            let mut failure = match self.once(template, &message, head, ahead).await {
                Ok(()) => return Ok(()),
                Err(failure) => Failure {
                    tries: patience.tries(),
                    ..failure
                },
            };
            // After a lost connection the same message is sent again: when the first one was committed after all, the
            // revision has moved and the second is refused as stale. History is read under the lock only (`enter`).
            // An error after the COMMIT is no escape either: all of it is recorded.
            let unsure = match failure.fault {
                Fault::Stale => patience.has_reconnected(),
                Fault::Escaped => true,
                _ => false,
            };
            if unsure && self.is_at(head, ahead + template.revisions).await {
                return Ok(());
            }
            if failure.fault == Fault::Escaped {
                failure.place = self.halt(template, head, ahead).await;
            }
            let Some(delay) = patience.delay(failure.fault) else {
                return Err(failure);
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// One try.
    async fn once(
        &mut self,
        template: &Template,
        message: &Message,
        head: &Head,
        ahead: i64,
    ) -> Result<(), Failure> {
        let lost = |error: SessionError| {
            let (SessionError::Connect { error, .. } | SessionError::Lost(error)) = error;
            Failure::without_place(Fault::Connection, error)
        };
        let outcome = self.session().await.map_err(lost)?.send(message).await;
        match outcome {
            Ok(Outcome::Done) => Ok(()),
            Ok(Outcome::Refused {
                completed,
                ended: true,
                error,
            }) if template.is_escape(completed) => Err(escaped(error)),
            Ok(Outcome::Refused {
                completed, error, ..
            }) => {
                let place = template.locate(head, ahead, error.position, completed);
                let fault = Fault::of(&error.code);
                Err(Failure {
                    place: place.map(|(origin, byte)| Place::of(origin, byte)),
                    fault,
                    error,
                    tries: 1,
                })
            }
            Err(error) => {
                self.session = None;
                Err(lost(error))
            }
        }
    }

    /// Whether the schema stands at exactly the revision that the message would have left.
    async fn is_at(&mut self, head: &Head, ahead: i64) -> bool {
        self.revision(head).await == Some(head.revision + ahead)
    }

    /// The revision of the schema now, as far as it can be had.
    async fn revision(&mut self, head: &Head) -> Option<i64> {
        let session = self.session().await.ok()?;
        let schema = crate::sql::Ident::new(head.schema.as_str()).ok()?;
        let now = heads::get(session.connection(), &schema).await.ok()??;
        (now.head.schema_oid == head.schema_oid).then_some(now.head.revision)
    }

    /// Halts a tenant whose script ended our transaction: what it committed is in no record. Returns the script.
    async fn halt(&mut self, template: &Template, head: &Head, ahead: i64) -> Option<Place> {
        // The steps before it are committed with their record: the next one is to blame.
        let recorded = self.revision(head).await.unwrap_or(head.revision + ahead);
        let step = usize::try_from(recorded - head.revision - ahead).unwrap_or(0);
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
        heads::mark_dirty(session.connection(), head.schema_oid, version).await
    }
}

/// The error of a statement that ran outside our transaction.
fn escaped(error: ServerError) -> Failure {
    let error = if Fault::of(&error.code) == Fault::Escaped {
        error
    } else {
        ServerError {
            code: "TN005".to_owned(),
            detail: Some(format!("after that, the server said: {error}")),
            ..ServerError::local("the script ended the transaction that it ran in".to_owned())
        }
    };
    Failure::without_place(Fault::Escaped, error)
}
