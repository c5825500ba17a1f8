//! Several targets of one cohort in one transaction: what a light plan costs is mostly the transaction itself.
//!
//! Whatever goes wrong with one of them takes the whole group back; each is then carried alone.

use std::{fmt::Write as _, time::Duration};

use super::{
    Compiled, Limits, Noticed, Part, Rung, Template,
    carry::Carrier,
    compile::{BEGIN, CHECK, LEFT, OWN, RESET, bytea, text},
    cut,
    template::{Origin, milliseconds},
};
use crate::{
    history::Head,
    plan::{Plan, Step},
    postgres::{Fault, Message, Outcome},
    sql::InvalidIdent,
};

/// A plan as it is carried to several targets at once.
#[derive(Debug, Clone)]
pub struct Group {
    /// What each target's part consists of.
    part: Template,
    /// The statements before the parts, but for the one that enters.
    limits: String,
    /// How long a statement may wait for a lock.
    wait: Duration,
    /// What the record says of all targets.
    record: String,
    /// How many targets one transaction may hold locks for.
    most: usize,
    /// How many relations one target's part touches, by estimate.
    relations: u32,
    /// How long one target's part may run; none where that is not limited.
    longest: Option<Duration>,
}

impl Group {
    /// The plan for groups; none where its targets have to be carried one by one: a plan that is more than one
    /// transaction, or one whose scripts change what the next target's would find, or do other things than they say.
    pub fn of(plan: &Plan, compiled: &Compiled, limits: &Limits) -> Option<Self> {
        let [Part::Message(_)] = compiled.parts.as_slice() else {
            return None;
        };
        let alone = plan.steps.is_empty()
            || !plan.repeatables.is_empty()
            || plan.steps.iter().any(is_alone);
        // In the lock table: each target's own lock as well.
        let locks: u32 = 1 + plan
            .steps
            .iter()
            .map(|s| cut::locks(&s.script))
            .sum::<u32>();
        let most = usize::try_from(limits.locks / locks).unwrap_or(1);
        if alone || most < 2 || limits.group_time.is_zero() {
            return None;
        }
        Some(Self {
            part: part(plan, limits),
            limits: settings(limits),
            wait: wait(limits),
            record: record(plan, limits),
            most,
            relations: plan.steps.iter().map(|s| cut::relations(&s.script)).sum(),
            longest: longest(plan, limits),
        })
    }

    /// How many targets one transaction may hold at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How long a transaction of so many targets may run at most; none where that is not limited.
    pub(super) fn longest(&self, targets: usize) -> Option<Duration> {
        let targets = u32::try_from(targets).unwrap_or(u32::MAX);
        self.longest.map(|longest| longest.saturating_mul(targets))
    }

    /// The message for the schemas of `heads`, to be found as they are there.
    ///
    /// # Errors
    /// A head's name is no schema's.
    pub fn stamp(&self, heads: &[&Head]) -> Result<Message, InvalidIdent> {
        let oids = array(heads, "oid[]", |head| head.schema_oid.to_string());
        let names = array(heads, "text[]", |head| text(&head.schema));
        let revisions = array(heads, "bigint[]", |head| head.revision.to_string());
        let fences = array(heads, "bigint[]", |head| head.fence.to_string());
        let mut message = format!(
            "{BEGIN};\n{}CALL tenantry.enter_group({oids}, {names}, {revisions}, {fences});\n",
            self.limits
        );
        for head in heads {
            message.push_str(&self.part.stamp_text(head, Rung::first(1))?);
        }
        // Writing to a String cannot fail.
        let _ = write!(
            message,
            "{CHECK};\nCALL tenantry.leave_group({oids}, {});\nCOMMIT;\n{};\n",
            self.record,
            RESET.replace("; ", ";\n")
        );
        let targets = u32::try_from(heads.len()).unwrap_or(u32::MAX);
        Ok(Message::vouched(message).touching(self.relations.saturating_mul(targets)))
    }
}

/// So many statements stand before the first target's part.
const AHEAD: usize = 4;

/// A lock was waited for as long as is allowed.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How a transaction of several targets ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Together {
    /// All of them are at their goal; what the server said to each on the way.
    Done(Vec<Vec<Noticed>>),
    /// Nothing was done, since others are at work on these, or hold locks that these want, by OID: the rest can be sent again.
    Busy(Vec<u32>),
    /// Nothing was done, for this reason; each has to be carried alone, which also tells whose it is.
    Apart(Fault),
    /// The connection broke. Each has to be carried alone, and may be found at its goal.
    Unsure,
}

impl Carrier<'_> {
    /// Carries several targets in one transaction, once.
    pub async fn carry_group(&mut self, group: &Group, heads: &[&Head]) -> Together {
        let Ok(message) = group.stamp(heads) else {
            return Together::Apart(Fault::Gone);
        };
        match self
            .send(&message, group.longest(heads.len()), Some(group.wait))
            .await
        {
            Ok(Outcome::Done) => {
                let heard = self.take_notices();
                let each = group.part.noticed_by_each(AHEAD, heads.len(), heard);
                for (head, noticed) in heads.iter().zip(&each) {
                    self.keep(head, noticed);
                }
                self.save_many().await;
                Together::Done(each)
            }
            Ok(Outcome::Refused { error, .. }) if Fault::of(&error) == Fault::Busy => {
                let busy = error.detail.unwrap_or_default();
                let busy = busy.split(' ').filter_map(|oid| oid.parse().ok());
                // A script may say so as well, of anybody.
                let is_ours = |oid: &u32| heads.iter().any(|head| head.schema_oid == *oid);
                let busy: Vec<u32> = busy.filter(is_ours).collect();
                match busy.is_empty() {
                    true => Together::Apart(Fault::Busy),
                    false => Together::Busy(busy),
                }
            }
            Ok(Outcome::Refused {
                error, completed, ..
            }) => {
                let whose = group.part.whose(AHEAD, heads.len(), completed);
                if let Some(locked) = whose.filter(|_| error.code == LOCK_NOT_AVAILABLE) {
                    return Together::Busy(vec![heads[locked].schema_oid]);
                }
                tracing::debug!(targets = heads.len(), completed, %error, "a group is taken apart");
                // Out of shared memory: the lock table took no more, and each of them may fit alone.
                let is_too_large = error.code == "53200";
                Together::Apart(match is_too_large {
                    true => Fault::Finer,
                    false => Fault::of(&error),
                })
            }
            Err(_) => Together::Unsure,
        }
    }
}

/// Whether this step keeps its plan out of groups.
fn is_alone(step: &Step) -> bool {
    let script = &step.script;
    cut::reaches_on(script)
        // Queries and changes of data may call functions and triggers, which may leave settings and temporary tables to
        // the next target; and they take their time.
        || cut::moves_data(script)
        // Whoever asks for time expects to need it.
        || script.directives.statement_timeout.is_some()
        || script.directives.lock_timeout.is_some()
}

/// A lock that is not free at once is waited for by the target that wants it, not by the whole group.
fn wait(limits: &Limits) -> Duration {
    limits.lock_timeout.min(limits.group_time)
}

fn settings(limits: &Limits) -> String {
    format!(
        "SET LOCAL lock_timeout = {};\nSET LOCAL statement_timeout = {};\n",
        milliseconds(wait(limits)),
        milliseconds(limits.statement_timeout)
    )
}

fn part(plan: &Plan, limits: &Limits) -> Template {
    let mut part = Template::default();
    part.search_path(&limits.extra_search_path);
    for step in &plan.steps {
        part.script(Origin::of_step(step));
    }
    let limits = format!(
        "{}, {}",
        milliseconds(wait(limits)),
        milliseconds(limits.statement_timeout)
    );
    part.call_by_name("assert_in_group", &format!(", {LEFT}, {limits}"));
    part
}

fn record(plan: &Plan, limits: &Limits) -> String {
    let steps = &plan.steps;
    let (version, digest) = steps
        .last()
        .map(|last| (last.version, last.digest))
        .unwrap_or_default();
    let optional = |text: Option<String>| text.unwrap_or_else(|| "NULL".to_owned());
    let columns = [
        array(steps, "text[]", |s| text(&s.migration.version.to_string())),
        array(steps, "text[]", |s| text(&s.migration.name)),
        array(steps, "text[]", |s| text(s.direction.as_str())),
        array(steps, "bytea[]", |s| bytea(s.migration.up.as_bytes())),
        array(steps, "bytea[]", |s| {
            optional(s.migration.down.as_ref().map(|down| bytea(down.as_bytes())))
        }),
        array(steps, "integer[]", |s| {
            s.script.statements.len().to_string()
        }),
        optional(version.map(|version| text(&version.to_string()))),
        bytea(&digest.0),
        text(&limits.who),
    ];
    columns.join(", ")
}

fn longest(plan: &Plan, limits: &Limits) -> Option<Duration> {
    let statements: usize = plan.steps.iter().map(|s| s.script.statements.len()).sum();
    let statements = u32::try_from(statements + OWN).unwrap_or(u32::MAX);
    let limited = !limits.statement_timeout.is_zero();
    limited.then(|| limits.statement_timeout.saturating_mul(statements))
}

/// An array of SQL; its elements are SQL already.
fn array<T>(of: &[T], kind: &str, element: impl Fn(&T) -> String) -> String {
    let elements: Vec<String> = of.iter().map(element).collect();
    format!("ARRAY[{}]::{kind}", elements.join(", "))
}
