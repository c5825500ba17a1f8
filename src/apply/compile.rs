//! From a plan to messages: cut where the protocol says, compiled once for all targets that share the plan.

use std::time::Duration;

use super::{
    Alone, Limits, Rung, Template, cut,
    template::{Origin, milliseconds},
};
use crate::{
    history::{Digest, Head},
    migration::{Checksum, Direction, Scope, Script},
    plan::{Plan, Step},
    postgres::{Message, reset},
    sql::{InvalidIdent, Literal},
};

/// What carries a plan.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// In order.
    pub parts: Vec<Part>,
    /// Which of them are watched.
    pub audit: Audit,
}

/// A part of what carries a plan.
#[derive(Debug, Clone)]
pub enum Part {
    /// One transaction.
    Message(Template),
    /// One migration, statement by statement.
    Alone(Alone),
}

impl Compiled {
    /// Whether any statement of it waits for all others in the database, as `CREATE INDEX CONCURRENTLY` does.
    pub fn waits_for_all(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Alone(alone) if alone.waits_for_all()))
    }

    /// How many statements of scripts they have together.
    pub fn statements(&self) -> usize {
        let statements = |part: &Part| match part {
            Part::Message(message) => message.statements(),
            Part::Alone(alone) => alone.statements(),
        };
        self.parts.iter().map(statements).sum()
    }

    /// The messages' texts as they are sent to the schema of `head`, in order, with the patience of `rung`.
    ///
    /// # Errors
    /// The head's name is no schema's.
    pub fn stamped(&self, head: &Head, rung: Rung) -> Result<Vec<Message>, InvalidIdent> {
        let mut head = head.clone();
        let mut stamped = Vec::new();
        for part in &self.parts {
            match part {
                Part::Message(message) => stamped.push(message.stamp(&head, rung)?),
                Part::Alone(alone) => stamped.extend(alone.stamped(&head, rung)?),
            }
            head = part.after(&head);
        }
        Ok(stamped)
    }
}

impl Part {
    /// How many migrations it carries.
    pub(super) fn migrations(&self) -> usize {
        match self {
            Self::Message(message) => message.migrations,
            Self::Alone(_) => 1,
        }
    }

    /// Where it leaves the schema of `head`.
    pub(super) fn after(&self, head: &Head) -> Head {
        match self {
            Self::Message(message) => message.after(head),
            Self::Alone(alone) => alone.after(head),
        }
    }
}

impl Compiled {
    /// What is left of it once so many migrations are done.
    pub(super) fn left(&self, done: usize) -> &[Part] {
        let mut migrations = 0;
        let is_done = |part: &&Part| {
            let is_done = migrations < done;
            migrations += part.migrations();
            is_done
        };
        let parts = self.parts.iter().take_while(is_done).count();
        &self.parts[parts..]
    }

    /// Adds a message, if there is anything in it.
    fn push(&mut self, message: Draft<'_>) {
        if message.template.revisions > 0 {
            self.parts.push(Part::Message(message.finish()));
        }
    }
}

/// Which scripts are watched for what they change outside their schema; it costs a few queries over the catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audit {
    /// All: they meet their first tenant.
    All,
    /// Those that may do other things than their text says.
    Dynamic,
    /// None: they belong to everybody.
    #[default]
    None,
}

impl Audit {
    /// For the first target of a plan.
    pub fn first(scope: Scope) -> Self {
        match scope {
            Scope::Shared => Self::None,
            Scope::Tenant => Self::All,
        }
    }

    /// For all others.
    pub fn others(scope: Scope) -> Self {
        match scope {
            Scope::Shared => Self::None,
            Scope::Tenant => Self::Dynamic,
        }
    }

    fn watches(self, plan: &Plan) -> bool {
        match self {
            Self::All => true,
            Self::Dynamic => plan.steps.iter().any(|step| cut::is_dynamic(&step.script)),
            Self::None => false,
        }
    }
}

/// How finely a plan is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// As few transactions as can be.
    Coarse,
    /// A transaction a migration.
    Fine,
}

/// Compiles a plan.
pub fn compile(plan: &Plan, limits: &Limits, cut: Cut, audit: Audit) -> Compiled {
    let mut compiled = Compiled {
        audit,
        ..Compiled::default()
    };
    let audit = audit.watches(plan);
    let mut message = Draft::new(limits, audit);
    if let Some(built) = &plan.built {
        message.built(built);
        // By itself: what comes after it finds what it would find behind the migrations, whatever these were cut into.
        compiled.push(std::mem::replace(&mut message, Draft::new(limits, audit)));
    }
    let mut previous: Option<&Step> = None;
    for step in &plan.steps {
        let cut = previous.is_some_and(|previous| {
            cut == Cut::Fine
                || cfg!(feature = "mutant-late-history")
                || cut::parts(plan, previous, step)
                || message.is_full(step)
        });
        if cut {
            compiled.push(std::mem::replace(&mut message, Draft::new(limits, audit)));
        }
        if step.script.directives.no_transaction {
            compiled.push(std::mem::replace(&mut message, Draft::new(limits, audit)));
            compiled
                .parts
                .push(Part::Alone(Alone::of(step, limits, audit)));
            previous = None;
            continue;
        }
        message.step(step);
        previous = Some(step);
    }
    if !plan.repeatables.is_empty() {
        if previous.is_some_and(|previous| cut == Cut::Fine || cut::reaches_on(&previous.script)) {
            compiled.push(std::mem::replace(&mut message, Draft::new(limits, audit)));
        }
        message.repeatables(plan);
    }
    compiled.push(message);
    compiled
}

/// Where the script has left us, then a search path that is the same for all targets: with the tenant's own, PostgreSQL
/// would plan every query inside the function anew (it took half of the throughput). Arguments are evaluated from left to
/// right; were they not, the schema would be none and every step be refused.
pub(super) const LEFT: &str =
    "pg_catalog.current_schema(), pg_catalog.set_config('search_path', '', true)";

/// Every transaction of ours begins so.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Else deferred checks fail at COMMIT, after the record, without naming a statement.
pub(super) const CHECK: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// After the COMMIT: nothing that a script set for its session may survive, nor what RESET ALL leaves alone.
pub(super) const RESET: &str = concat!(
    reset!(),
    "; SELECT pg_catalog.pg_advisory_unlock_all(); RESET ALL"
);

/// As many statements of ours run under the time limit of a script, at most.
pub(super) const OWN: usize = 3;

/// A message in the making.
pub(super) struct Draft<'a> {
    pub(super) limits: &'a Limits,
    audit: bool,
    pub(super) template: Template,
    locks: u32,
}

impl<'a> Draft<'a> {
    fn new(limits: &'a Limits, audit: bool) -> Self {
        let mut template = Template::default();
        template.own(BEGIN).enter();
        if audit {
            template.watch(limits);
        }
        template.longest = Some(Duration::ZERO);
        Self {
            limits,
            audit,
            template,
            locks: 0,
        }
    }

    fn is_full(&self, next: &Step) -> bool {
        self.locks + cut::locks(&next.script) > self.limits.locks
    }

    fn step(&mut self, step: &Step) {
        self.locks += cut::locks(&step.script);
        self.template.relations += cut::relations(&step.script);
        if self.template.revisions > 0 {
            self.template.call("next_step", "");
        }
        self.template.search_path(&self.limits.extra_search_path);
        self.timeouts(&step.script);
        self.template.script(Origin::of_step(step));
        let migration = &step.migration;
        let arguments = [
            text(&migration.version.to_string()),
            text(&migration.name),
            text(step.direction.as_str()),
            bytea(migration.up.as_bytes()),
            migration.down.as_ref().map_or_else(
                || "NULL".to_owned(),
                |down: &Checksum| bytea(down.as_bytes()),
            ),
            step.version
                .map_or_else(|| "NULL".to_owned(), |version| text(&version.to_string())),
            bytea(&step.digest.0),
            step.script.statements.len().to_string(),
            text(&self.limits.who),
        ];
        self.template.own(CHECK);
        if cut::moves_data(&step.script) {
            self.template.call("deallocate", "");
        }
        self.audit();
        if cfg!(feature = "mutant-late-history") {
            // A bug on purpose, see Cargo.toml.
            self.template.own("COMMIT").own("BEGIN").enter();
            self.template.search_path(&self.limits.extra_search_path);
        }
        self.template
            .call("leave", &format!(", {LEFT}, {}", arguments.join(", ")));
        self.template.revisions += 1;
        self.template.migrations += 1;
        self.template.leaves = Some((step.version, step.digest));
        if step.direction == Direction::Down {
            // As `leave` has it.
            self.template.repeatables = Some(Digest::EMPTY);
        }
    }

    fn repeatables(&mut self, plan: &Plan) {
        // They may call each other: made unchecked, then checked together.
        self.template
            .search_path(&self.limits.extra_search_path)
            .own("SET LOCAL check_function_bodies = off");
        for repeatable in &plan.repeatables {
            self.timeouts(&repeatable.script);
            self.template.relations += cut::relations(&repeatable.script);
            self.template.script(Origin::of_repeatable(repeatable));
        }
        self.template
            .own("SET LOCAL check_function_bodies = on")
            .call("validate_functions", "");
        self.audit();
        let digest = Digest::of_repeatables(plan.repeatables.iter().map(AsRef::as_ref));
        self.template.call(
            "leave_repeatables",
            &format!(", {LEFT}, {}", bytea(&digest.0)),
        );
        self.template.revisions += 1;
        self.template.repeatables = Some(digest);
    }

    pub(super) fn audit(&mut self) {
        if self.audit {
            self.template.audit(self.limits);
        }
    }

    pub(super) fn timeouts(&mut self, script: &Script) {
        let lock = script
            .directives
            .lock_timeout
            .unwrap_or(self.limits.lock_timeout);
        let statement = script
            .directives
            .statement_timeout
            .unwrap_or(self.limits.statement_timeout);
        // With each script come a few statements of ours, of which the deferred checks may take long.
        let statements = u32::try_from(script.statements.len() + OWN).unwrap_or(u32::MAX);
        let limited = !statement.is_zero() && !sets_own_timeout(script);
        self.template.longest = self
            .template
            .longest
            .filter(|_| limited)
            .map(|longest| longest.saturating_add(statement.saturating_mul(statements)));
        self.template.lock_timeout(lock).own(&format!(
            "SET LOCAL statement_timeout = {}",
            milliseconds(statement)
        ));
    }

    fn finish(mut self) -> Template {
        self.template.commit();
        for reset in RESET.split("; ") {
            self.template.own(reset);
        }
        self.template
    }
}

impl Template {
    /// Adds what the audit at the end has to know of the beginning.
    pub(super) fn watch(&mut self, limits: &Limits) -> &mut Self {
        self.call("watch", &format!(", {}", writable(limits)))
    }

    /// Adds the audit, which is for a transaction that is watched.
    pub(super) fn audit(&mut self, limits: &Limits) -> &mut Self {
        // The call has emptied the path, and whoever closes the transaction looks at it too.
        self.call("audit", &format!(", {LEFT}, {}", writable(limits)))
            .search_path(&limits.extra_search_path)
    }
}

/// The other schemas that a script may change, as an array.
fn writable(limits: &Limits) -> String {
    let schemas = limits.also_writes.iter();
    let schemas: Vec<_> = schemas.map(|schema| text(schema.as_str())).collect();
    format!("ARRAY[{}]::text[]", schemas.join(", "))
}

/// Whether the limit on the time of a statement may be another one than we set.
fn sets_own_timeout(script: &Script) -> bool {
    script
        .text
        .to_ascii_lowercase()
        .contains("statement_timeout")
}

pub(super) fn text(value: &str) -> String {
    // Names of files and people hold no NUL; one that did would be cut there.
    let value = value.split('\0').next().unwrap_or_default();
    Literal::new(value)
        .map(|literal| literal.to_string())
        .unwrap_or_default()
}

pub(super) fn bytea(bytes: &[u8; 32]) -> String {
    let checksum = Checksum::from(*bytes);
    format!("'\\x{checksum}'")
}
