//! A migration that is no transaction, compiled: what is sent for each of its statements.

mod bare;
mod catalog;
mod postcondition;
mod setback;
mod walk;

use std::{sync::Arc, time::Duration};

use self::postcondition::Postcondition;
use super::{
    Limits, Place, Rung, Template, Turn,
    compile::{BEGIN, CHECK, LEFT, OWN},
    cut,
    template::{Origin, milliseconds},
};
use crate::{
    history::{Applied, Digest, Head},
    migration::{Direction, Script, Version},
    plan::Step,
    postgres::{Message, reset},
    sql::InvalidIdent,
};

/// A migration that is carried statement by statement. What can be in a transaction is in one of its own, together with
/// its record; the rest is sent by itself, between two records.
#[derive(Debug, Clone)]
pub struct Alone {
    migration: Applied,
    direction: Direction,
    single: Vec<Single>,
    script: Arc<Script>,
    version: Option<Version>,
    digest: Digest,
}

/// One statement of it.
#[derive(Debug, Clone)]
struct Single {
    origin: Origin,
    how: How,
}

/// How a statement is sent.
#[derive(Debug, Clone)]
enum How {
    /// In one transaction with its record.
    Recorded(Template),
    /// By itself.
    Bare(Box<Bare>),
}

/// A statement that no transaction takes.
#[derive(Debug, Clone)]
struct Bare {
    /// What it runs under, for the session.
    settings: Template,
    statement: Template,
    postcondition: Postcondition,
    /// How long it may wait for a lock; none where that is not limited.
    lock: Option<Duration>,
    /// How long it may run before it is cancelled; none where that is not limited.
    deadline: Option<Duration>,
}

/// After each statement: what it set for the session is taken back. The schema's lock stays.
const CLEAR: &str = concat!(reset!(), "; RESET ALL");

impl Alone {
    /// `audit`: what can be in a transaction is watched for what it changes outside its schema. The rest cannot be: it is
    /// over before anybody could look at its locks.
    pub(super) fn of(step: &Step, limits: &Limits, audit: bool) -> Self {
        let statements = step.script.statements.iter().enumerate();
        let single = statements.map(|(number, statement)| {
            let origin = Origin {
                version: Some(step.migration.version),
                name: step.migration.name.clone(),
                direction: step.direction,
                script: step.script.clone(),
                span: statement.span.clone(),
            };
            let text = step.script.statement(statement);
            let how = match Postcondition::of(text) {
                Some(postcondition) => {
                    How::Bare(Box::new(Bare::new(&origin, postcondition, limits)))
                }
                None => How::Recorded(recorded(&origin, number, limits, audit)),
            };
            Single { origin, how }
        });
        Self {
            single: single.collect(),
            migration: step.migration.clone(),
            direction: step.direction,
            script: step.script.clone(),
            version: step.version,
            digest: step.digest,
        }
    }

    /// Where it leaves the schema of `head`.
    pub(super) fn after(&self, head: &Head) -> Head {
        let repeatables = match self.direction {
            Direction::Up => head.repeatables,
            // As `finish_statements` has it.
            Direction::Down => Digest::EMPTY,
        };
        Head {
            version: self.version,
            digest: self.digest,
            repeatables,
            revision: head.revision + 1,
            running: None,
            ..head.clone()
        }
    }

    /// The highest version and the digest once it is done.
    fn leaves(&self) -> (Option<Version>, Digest) {
        (self.version, self.digest)
    }

    /// Whether any of its statements waits until all others in the database have forgotten what they saw before, such as
    /// `CREATE INDEX CONCURRENTLY`: several of these wait for each other.
    pub(super) fn waits_for_all(&self) -> bool {
        let mut all = self.single.iter();
        all.any(
            |single| matches!(&single.how, How::Bare(bare) if bare.postcondition.is_concurrent()),
        )
    }

    /// How many statements it has.
    pub(super) fn statements(&self) -> usize {
        self.single.len()
    }

    /// The texts that are sent, without those that only keep the record.
    pub(super) fn stamped(&self, head: &Head, rung: Rung) -> Result<Vec<Message>, InvalidIdent> {
        let mut clear = Template::default();
        clear.clear();
        let mut messages = Vec::new();
        for single in &self.single {
            match &single.how {
                How::Recorded(template) => messages.push(template.stamp(head, rung)?),
                How::Bare(bare) => {
                    messages.push(bare.settings.stamp(head, rung)?);
                    messages.push(bare.statement.stamp(head, rung)?);
                    messages.push(clear.stamp(head, rung)?);
                }
            }
        }
        Ok(messages)
    }

    /// The same for a copy, without anything that keeps the record.
    pub(super) fn turns(&self, head: &Head) -> Result<Vec<Turn>, InvalidIdent> {
        let mut turns = Vec::new();
        for (number, single) in self.single.iter().enumerate() {
            let (is_transaction, sent) = match &single.how {
                How::Recorded(template) => (true, template.singly(head)?),
                How::Bare(bare) => {
                    let mut clear = Template::default();
                    clear.clear();
                    let parts = [&bare.settings, &bare.statement, &clear];
                    let sent = parts.map(|template| template.singly(head));
                    let sent: Result<Vec<_>, _> = sent.into_iter().collect();
                    (false, sent?.concat())
                }
            };
            turns.push(Turn {
                is_transaction,
                migrations: usize::from(number + 1 == self.single.len()),
                sent,
            });
        }
        Ok(turns)
    }

    /// Which statement comes after `done` others, for people.
    fn nth(&self, done: usize) -> String {
        let total = self.single.len();
        let Some(single) = self.single.get(done) else {
            return format!("after all {total} statements");
        };
        let place = Place::of(&single.origin, None);
        let path = self.script.path.display();
        format!(
            "statement {} of {total} at {path}:{}",
            done + 1,
            place.position
        )
    }
}

impl Bare {
    fn new(origin: &Origin, postcondition: Postcondition, limits: &Limits) -> Self {
        let (lock, deadline) = timeouts(&origin.script, limits);
        // With a limit, what waits for every older transaction would only leave invalid indexes behind.
        let lock = if postcondition.is_queued() {
            Duration::ZERO
        } else {
            lock
        };
        // We cancel it ourselves; the server does when we cannot.
        let server = deadline.map(|deadline| deadline.saturating_add(limits.grace));
        let mut settings = Template::default();
        settings
            .session_path(&limits.extra_search_path)
            .own(&format!("SET lock_timeout = {}", milliseconds(lock)))
            .own(&format!(
                "SET statement_timeout = {}",
                milliseconds(server.unwrap_or_default())
            ));
        let mut statement = Template::default();
        statement.statement(origin.clone());
        statement.relations = cut::touched([origin.text()]);
        Self {
            settings,
            statement,
            postcondition,
            lock: Some(lock).filter(|lock| !lock.is_zero()),
            deadline,
        }
    }
}

impl Template {
    /// Adds what follows a statement.
    fn clear(&mut self) -> &mut Self {
        CLEAR
            .split("; ")
            .fold(self, |template, reset| template.own(reset))
    }
}

/// A statement in one transaction with its record, of which there are `done` so far.
fn recorded(origin: &Origin, done: usize, limits: &Limits, audit: bool) -> Template {
    let (lock, deadline) = timeouts(&origin.script, limits);
    let mut template = Template::default();
    template
        .own(BEGIN)
        .guard("enter_statement", &format!(", {done}"));
    if audit {
        template.watch(limits);
    }
    template
        .search_path(&limits.extra_search_path)
        .lock_timeout(lock)
        .own(&format!(
            "SET LOCAL statement_timeout = {}",
            milliseconds(deadline.unwrap_or_default())
        ))
        .statement(origin.clone())
        .own(CHECK)
        .call("deallocate", "");
    if audit {
        template.audit(limits);
    }
    template
        .guard("leave_statement", &format!(", {done}, {LEFT}"))
        .commit();
    template.clear();
    template.relations = cut::touched([origin.text()]);
    let statements = u32::try_from(1 + OWN).unwrap_or(u32::MAX);
    template.longest = deadline.map(|deadline| deadline.saturating_mul(statements));
    template
}

/// How long a statement may wait for a lock, and how long it may run.
fn timeouts(script: &Script, limits: &Limits) -> (Duration, Option<Duration>) {
    let directives = &script.directives;
    let lock = directives.lock_timeout.unwrap_or(limits.lock_timeout);
    let statement = directives.statement_timeout;
    let statement = statement.unwrap_or(limits.statement_timeout);
    (lock, Some(statement).filter(|limit| !limit.is_zero()))
}
