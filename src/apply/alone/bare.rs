//! One statement that no transaction takes: recorded as begun, sent by itself, looked for in the catalog, recorded as done.

use std::time::{Duration, Instant};

use super::{
    super::{Carrier, Failure, Rung},
    Bare, How, Single,
    catalog::Found,
    setback::{Setback, busy, cut_off, in_part, no_name, seen, timely, unmet},
    walk::Held,
};
use crate::{
    history::Head,
    postgres::{Ended, Fault, Message, Outcome, ServerError, SessionError, reset},
    store::statements::{self, Before, Progress},
};

/// Between two looks whether it is our turn.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// So often what a statement left is mended before it is given up.
const MENDS: usize = 3;

/// After a statement that was sent by itself: what it ran under is taken back, and somebody else has the turn.
const NEXT: &str = concat!(
    reset!(),
    "; RESET ALL; SELECT pg_catalog.pg_advisory_unlock(1953395321, 1)
      where exists (select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()
                       and classid = 1953395321 and objid = 1 and objsubid = 2)"
);

impl Carrier<'_> {
    /// A statement that no transaction takes, from wherever it was left.
    pub(super) async fn bare(
        &mut self,
        held: Held<'_>,
        single: &Single,
        bare: &Bare,
        progress: &Progress,
    ) -> Result<(), Setback> {
        let Held { alone, head, pid } = held;
        let (done, grace) = (progress.done, self.limits.grace);
        if let Some(before) = progress.open
            && self.settle(held, (single, done), before, None).await?
        {
            return Ok(());
        }
        self.prepare(bare, head).await?;
        let connection = self.same_session()?.connection();
        let before = match progress.open {
            Some(before) => before,
            None => {
                let before = seen(bare.postcondition.before(connection));
                let before = timely(grace, before).await;
                self.heard(before)?
            }
        };
        let note = format!("{} is under way", alone.nth(done));
        let connection = self.same_session()?.connection();
        let opened = timely(
            grace,
            statements::open(connection, head, done, before, &note),
        )
        .await;
        self.heard(opened)?;
        let rung = Rung::first(1);
        let message = bare.statement.stamp(head, rung).map_err(no_name)?;
        if let Outcome::Refused { error, .. } = self.within(&message, bare, pid).await? {
            let failure = bare
                .statement
                .failure(head, rung, 0, Ended::RolledBack, error)
                .blocked_by(&self.blockers);
            if bare.postcondition.is_unseeable() {
                return Err(self.dirty(held, done, in_part(failure)).await);
            }
            if bare.postcondition.is_all_or_nothing() {
                let connection = self.same_session()?.connection();
                let closed = timely(grace, statements::close(connection, head, done, false)).await;
                self.heard(closed)?;
            }
            return Err(failure.into());
        }
        match self.look(held, bare, before, true).await? {
            Found::Done => self.close_statement(head, done, true).await,
            Found::Invalid(why) => Err(unmet(single, why).into()),
            _ => {
                let why = "the server said that it was done, but the catalog does not show it";
                Err(unmet(single, why.to_owned()).into())
            }
        }
    }

    /// Finds out what became of the statement after `done` others, which was begun, and clears up after it: true when it was
    /// done, and recorded. `why` it ended is known to whoever has sent it himself.
    pub(super) async fn settle(
        &mut self,
        held: Held<'_>,
        (single, done): (&Single, usize),
        before: Before,
        why: Option<&Failure>,
    ) -> Result<bool, Setback> {
        let head = held.head;
        let How::Bare(bare) = &single.how else {
            return Ok(false);
        };
        self.prepare(bare, head).await?;
        match self.look(held, bare, before, false).await? {
            Found::Done => {
                self.close_statement(head, done, true).await?;
                Ok(true)
            }
            Found::Unsure => {
                let failure = match why {
                    Some(why) => in_part(why.clone()),
                    None => cut_off(single),
                };
                Err(self.dirty(held, done, failure).await)
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
        held: Held<'_>,
        bare: &Bare,
        before: Before,
        ran: bool,
    ) -> Result<Found, Setback> {
        let grace = self.limits.grace;
        for _ in 0..MENDS {
            let connection = self.same_session()?.connection();
            let found = seen(bare.postcondition.look(connection, before, ran));
            let found = timely(grace, found).await;
            match self.heard(found)? {
                Found::Broken(mends) => {
                    for mend in mends {
                        if let Outcome::Refused { error, .. } =
                            self.within(&mend, bare, held.pid).await?
                        {
                            let fault = Fault::of(&error);
                            let failure = Failure::without_place(fault, error);
                            return Err(failure.blocked_by(&self.blockers).into());
                        }
                    }
                }
                Found::Building => {
                    return Err(busy("another session is building indexes on this table").into());
                }
                found => return Ok(found),
            }
        }
        let what = format!(
            "what a statement left in {} cannot be mended",
            held.head.schema
        );
        Err(Failure::without_place(Fault::Tenant, ServerError::local(what)).into())
    }

    /// Waits for its turn, and sets what it runs under.
    async fn prepare(&mut self, bare: &Bare, head: &Head) -> Result<(), Setback> {
        let (start, grace) = (Instant::now(), self.limits.grace);
        while bare.postcondition.is_queued() {
            let connection = self.same_session()?.connection();
            let queued = timely(grace, statements::queue(connection)).await;
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
        let rung = Rung::first(1);
        let settings = bare.settings.stamp(head, rung).map_err(no_name)?;
        match self.once(&bare.settings, &settings, rung).await? {
            Outcome::Done => Ok(()),
            Outcome::Refused { error, .. } => {
                Err(Failure::without_place(Fault::of(&error), error).into())
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
        let grace = self.limits.grace;
        let connection = self.same_session()?.connection();
        let closed = timely(grace, statements::close(connection, head, done, is_done)).await;
        self.heard(closed)?;
        self.clear(NEXT).await
    }

    /// Sends what may take long. When its time is over it is cancelled; a server that does not even do that is given up.
    async fn within(
        &mut self,
        message: &Message,
        bare: &Bare,
        pid: i32,
    ) -> Result<Outcome, Setback> {
        let (shard, grace) = (self.shard, self.limits.grace);
        let watch = self.watch(None, bare.lock.into_iter().chain(bare.deadline).min());
        let session = self.same_session()?;
        let outcome = {
            let mut last = None;
            let mut sent = std::pin::pin!(session.ask(message, watch, &mut last));
            match bare.deadline {
                None => sent.await,
                Some(deadline) => match tokio::time::timeout(deadline, &mut sent).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        // Where that is not possible, the server's own limit is a little longer.
                        let cancel = tokio::time::timeout(grace, shard.cancel(pid, message));
                        // Both at once: who looks at the statement may have the connection that cancels it.
                        let ended = tokio::time::timeout(grace.saturating_mul(3), sent);
                        let (_, ended) = tokio::join!(cancel, ended);
                        ended.map_or_else(
                            |_| Err(silent(deadline)),
                            |o| o.map(|o| late(o, deadline)),
                        )
                    }
                },
            }
        };
        self.blockers = session.blockers().to_vec();
        if outcome.is_err() {
            self.session = None;
        }
        Ok(outcome?)
    }
}

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
