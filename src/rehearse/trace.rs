//! Running a plan on a copy, one statement after the other in the transactions it would be carried in, with a look after
//! each of them from within.

use std::time::{Duration, Instant};

use super::{
    Copied, Ended, Mode, RehearseError, Traced, Transaction,
    look::{View, look},
    step::Step,
    veil::veil,
};
use crate::{
    apply::{Audit, Cut, Failure, Limits, Place, Sent, Turn, compile},
    history::Head,
    plan::Plan,
    postgres::{Fault, Message, Outcome, Session},
};

/// What a plan is run under.
pub(super) struct Rules<'a> {
    pub(super) limits: &'a Limits,
    /// In a database of the fleet nothing is committed, and nothing outside the copy is locked for longer than a look.
    pub(super) in_place: bool,
    /// What the copy is, compared with the original.
    pub(super) copied: &'a Copied,
    /// Whether what the server says of errors may quote rows.
    pub(super) shows_values: bool,
}

/// Runs a plan on the copy whose schema is that of `head`.
pub(super) async fn trace(
    session: &mut Session,
    plan: &Plan,
    head: &Head,
    rules: &Rules<'_>,
) -> Result<(Vec<Transaction>, Ended), RehearseError> {
    let mut tracer = Tracer {
        session,
        head,
        rules,
        is_open: false,
        transactions: Vec::new(),
    };
    let ended = tracer.plan(plan.clone()).await?;
    if tracer.is_open {
        let rollback = Message::vouched("ROLLBACK; RESET ALL");
        tracer.session.send(&rollback).await?;
    }
    Ok((tracer.transactions, ended))
}

struct Tracer<'a> {
    session: &'a mut Session,
    head: &'a Head,
    rules: &'a Rules<'a>,
    /// Whether there is a transaction that goes on after its turn.
    is_open: bool,
    transactions: Vec<Transaction>,
}

/// Why a turn did not end.
enum Stop {
    Failed(Failure),
    Kept(Place, String),
}

impl Tracer<'_> {
    async fn plan(&mut self, mut plan: Plan) -> Result<Ended, RehearseError> {
        let mut cut = Cut::Coarse;
        loop {
            let compiled = compile(&plan, self.rules.limits, cut, Audit::None);
            let (mut done, mut stopped) = (0, None);
            for turn in compiled.turns(self.head)? {
                stopped = self.turn(&turn).await?;
                if stopped.is_some() {
                    break;
                }
                done += turn.migrations;
            }
            match stopped {
                None => return Ok(Ended::Passed),
                // As carrying it would go on: a transaction a migration.
                Some(Stop::Failed(failure))
                    if failure.fault == Fault::Finer
                        && cut == Cut::Coarse
                        && !self.rules.in_place =>
                {
                    self.transactions.pop();
                    plan.steps.drain(..done);
                    cut = Cut::Fine;
                }
                Some(Stop::Failed(failure)) => return Ok(self.failed(failure)),
                Some(Stop::Kept(place, why)) => {
                    let place = Box::new(place);
                    return Ok(Ended::Kept { place, why });
                }
            }
        }
    }

    fn failed(&self, mut failure: Failure) -> Ended {
        if self.rules.in_place && failure.fault == Fault::Finer {
            let why = "it needs what is before it to be committed, and in place nothing is";
            if let Some(place) = failure.place.clone() {
                let (place, why) = (Box::new(place), why.to_owned());
                return Ended::Kept { place, why };
            }
        }
        let partial = &self.rules.copied.partial;
        // foreign_key_violation
        let doubt = (failure.error.code == "23503" && !partial.is_empty()).then(|| {
            let named: Vec<_> = partial.iter().map(|table| table.table.as_str()).collect();
            format!(
                "the copy has not all rows of {}, so what is referred to may just not have been copied",
                named.join(", ")
            )
        });
        let withheld = !self.rules.shows_values && veil(&mut failure.error);
        Ended::Failed {
            failure: Box::new(failure),
            doubt,
            withheld,
        }
    }

    /// Runs what is committed together.
    async fn turn(&mut self, turn: &Turn) -> Result<Option<Stop>, RehearseError> {
        if self.rules.in_place && !turn.is_transaction {
            let place = turn.sent.iter().find_map(Sent::place);
            let why = "no transaction takes it, and in place nothing is committed".to_owned();
            return Ok(place.map(|place| Stop::Kept(place, why)));
        }
        let mut begun = Begun::default();
        let mut stopped = None;
        for sent in &turn.sent {
            let stop = match sent.place() {
                Some(place) => self.traced(sent, place, turn, &mut begun).await?,
                None if self.rules.in_place && sent.message.as_str() == "COMMIT" => break,
                None if self.is_open && sent.message.as_str().starts_with("BEGIN") => None,
                None => self.own(sent, &mut begun).await?,
            };
            if stop.is_some() {
                stopped = stop;
                break;
            }
        }
        self.is_open = self.rules.in_place && !matches!(stopped, Some(Stop::Failed(_)));
        self.transactions.push(begun.ended(turn.is_transaction));
        Ok(stopped)
    }

    /// Sends a statement of ours.
    async fn own(&mut self, sent: &Sent, begun: &mut Begun) -> Result<Option<Stop>, RehearseError> {
        let start = Instant::now();
        let outcome = self.session.send(&sent.message).await?;
        begun.own += start.elapsed();
        let Outcome::Refused { error, .. } = outcome else {
            return Ok(None);
        };
        let mut failure = sent.failure(error);
        // A check that was put off is the last statement's fault.
        failure.place = begun.statements.last().map(|last| last.place.clone());
        Ok(Some(Stop::Failed(failure)))
    }

    /// Sends a statement of a script, and looks what it did.
    async fn traced(
        &mut self,
        sent: &Sent,
        place: Place,
        turn: &Turn,
        begun: &mut Begun,
    ) -> Result<Option<Stop>, RehearseError> {
        let oid = self.head.schema_oid;
        if begun.start.is_none() {
            let view = look(self.session, oid, &View::new()).await?;
            begun.last = view.clone();
            begun.start = Some(view);
        }
        let log = self.log().await?;
        let start = Instant::now();
        let outcome = self.session.send(&sent.message).await?;
        let elapsed = start.elapsed();
        if let Outcome::Refused { error, .. } = outcome {
            return Ok(Some(Stop::Failed(sent.failure(error))));
        }
        let wal_bytes = match (log, self.log().await?) {
            (Some(before), Some(after)) => Some(after - before),
            _ => None,
        };
        let after = look(self.session, oid, &begun.last).await?;
        let known = begun.start.get_or_insert_default();
        let step = Step {
            schema: &self.head.schema,
            known,
            before: &begun.last,
            after: &after,
            copied: self.rules.copied,
            in_transaction: turn.is_transaction,
        };
        let mut traced = step.traced(place, elapsed);
        traced.wal_bytes = wal_bytes;
        let outside = traced
            .locks
            .iter()
            .find(|lock| lock.is_outside && lock.mode >= Mode::RowExclusive);
        let kept = outside.filter(|_| self.rules.in_place).map(|lock| {
            let (mode, relation) = (lock.mode, &lock.relation);
            let why = format!(
                "it locks {relation} ({mode}), which is in use: a scratch server tells more"
            );
            Stop::Kept(traced.place.clone(), why)
        });
        begun.last = after;
        begun.statements.push(traced);
        Ok(kept)
    }

    /// How far the server's log has come, where nobody else writes to it.
    async fn log(&mut self) -> Result<Option<i64>, RehearseError> {
        if self.rules.in_place {
            return Ok(None);
        }
        let query =
            "select (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::int8";
        let position = sqlx::query_scalar(query)
            .fetch_one(self.session.connection())
            .await
            .map_err(RehearseError::server("see how much is logged"))?;
        Ok(Some(position))
    }
}

/// A turn under way.
#[derive(Default)]
struct Begun {
    /// Before its first statement.
    start: Option<View>,
    /// After its last.
    last: View,
    statements: Vec<Traced>,
    /// How long our own statements took.
    own: Duration,
}

impl Begun {
    fn ended(mut self, is_transaction: bool) -> Transaction {
        // What was locked last is held for the shortest time.
        let (mut held, mut at_least) = (Some(self.own), self.own);
        for traced in self.statements.iter_mut().rev() {
            held = held.zip(traced.estimated).map(|(held, more)| held + more);
            at_least += traced.estimated.unwrap_or(traced.elapsed);
            for lock in &mut traced.locks {
                (lock.held, lock.held_at_least) = (held, at_least);
            }
        }
        let statements = self.statements.iter();
        Transaction {
            is_transaction,
            elapsed: self.own + statements.map(|traced| traced.elapsed).sum::<Duration>(),
            statements: self.statements,
        }
    }
}
