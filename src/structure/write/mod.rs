//! A snapshot as SQL that makes the same structure in an empty schema.
//!
//! The statements stand in the order in which they usually can be run; which one needs which other is known to the server
//! alone, so whoever runs them has to try. What cannot be written is refused, never left out.

mod aggregate;
mod arrays;
mod called;
mod column;
mod heir;
mod object;
mod own;
mod privileges;
mod rare;
mod table;
mod types;

use std::cmp::Reverse;

use arrays::kept_whole;
use own::with_name;

use super::{Kind, ObjectKey, Properties, Snapshot, names::unquoted, unqualified::OWN};
use crate::sql::{Ident, InvalidIdent, Literal, NulByte};

/// What keeps a structure from being written as SQL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There are no words for it here.
    #[error("{object} cannot be written as SQL: {why}")]
    Unwritable {
        /// What.
        object: ObjectKey,
        /// Why.
        why: &'static str,
    },
    /// A name that PostgreSQL would change.
    #[error(transparent)]
    Name(#[from] InvalidIdent),
    /// A text that PostgreSQL does not hold.
    #[error(transparent)]
    Text(#[from] NulByte),
}

/// A part of a structure as SQL, without a semicolon at its end. Names come without the schema's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text.
    pub sql: String,
    /// The same in several statements, for what stands in a circle, such as a table whose default calls a function that
    /// reads the table; empty where there is no other way to say it.
    pub apart: Vec<String>,
    /// What is of a later stage relies on all of the earlier ones being there, as far as they can be.
    pub stage: usize,
}

/// The statements that make the structure.
///
/// # Errors
/// Where anything in the snapshot cannot be written.
pub fn write(snapshot: &Snapshot) -> Result<Vec<Statement>, WriteError> {
    let mut told = snapshot
        .objects()
        .flat_map(|(_, properties)| properties.keys());
    let mut writer = Writer {
        snapshot,
        tells_privileges: told.any(|property| property.starts_with("privileges of ")),
        phases: Default::default(),
        checks: Vec::new(),
        references: Vec::new(),
    };
    for (key, properties) in snapshot.objects() {
        writer.object(key, properties)?;
    }
    // That of a child first: it would find that of its parent there, and be refused.
    writer
        .checks
        .sort_by_key(|(generation, _)| Reverse(*generation));
    for (_, check) in std::mem::take(&mut writer.checks) {
        writer.add(Phase::Constraint, check)?;
    }
    // The reference of a partition first: that of the whole then takes it for its own, and makes none of another name.
    writer.references.sort_by_key(|(depth, _)| Reverse(*depth));
    for (_, reference) in std::mem::take(&mut writer.references) {
        writer.add(Phase::Reference, reference)?;
    }
    Ok(writer.phases.into_iter().flatten().collect())
}

/// In which order the statements are tried.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Extension,
    Type,
    Sequence,
    Routine,
    Operator,
    Table,
    Ownership,
    Constraint,
    /// Partitions come to their parents with all that a parent would hand down to them, but for keys and indexes: the
    /// right ones of those are named to it.
    Family,
    Key,
    KeyOfPart,
    Reference,
    View,
    Index,
    IndexOfPart,
    Behaviour,
    /// What a parent has handed down may be turned off in a partition.
    Enabling,
    Comment,
    Privilege,
    Owner,
}

const PHASES: usize = Phase::Owner as usize + 1;

struct Writer<'a> {
    snapshot: &'a Snapshot,
    /// Whether an object without any is one that nobody has any to.
    tells_privileges: bool,
    phases: [Vec<Statement>; PHASES],
    /// Checks, with how many tables stand above theirs.
    checks: Vec<(usize, String)>,
    /// Foreign keys, with the depth of their tables.
    references: Vec<(usize, String)>,
}

impl<'a> Writer<'a> {
    fn add(&mut self, phase: Phase, sql: String) -> Result<(), WriteError> {
        self.add_or_apart(phase, sql, Vec::new())
    }

    fn add_or_apart(
        &mut self,
        phase: Phase,
        sql: String,
        apart: Vec<String>,
    ) -> Result<(), WriteError> {
        let finished = |sql: String| with_name(kept_whole(&sql));
        let statement = Statement {
            sql: finished(sql)?,
            apart: apart.into_iter().map(finished).collect::<Result<_, _>>()?,
            stage: phase as usize,
        };
        self.phases[phase as usize].push(statement);
        Ok(())
    }

    /// The name of a type or function in a statement that looks for it.
    fn named(&self, key: &ObjectKey, name: &str) -> Result<String, WriteError> {
        Ok(self.found(key, &ident(name)?.to_string()))
    }

    /// The name, quoted where it has to be, so that the object is found by it.
    fn found(&self, key: &ObjectKey, name: &str) -> String {
        let properties = self.snapshot.get(key);
        match properties.is_some_and(|p| p.contains_key("shadows")) {
            true => format!("{OWN}.{name}"),
            false => name.to_owned(),
        }
    }

    fn object(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        let is_relation = matches!(
            key.kind,
            Kind::Table | Kind::View | Kind::MaterializedView | Kind::Sequence | Kind::Index
        );
        if is_relation && properties.contains_key("shadows") {
            return Err(unwritable(
                key,
                "it has the name of one of PostgreSQL's own",
            ));
        }
        match key.kind {
            Kind::Schema => {}
            Kind::Type => self.a_type(key, properties)?,
            Kind::Sequence => self.sequence(key, properties)?,
            Kind::Table => self.table(key, properties)?,
            Kind::View | Kind::MaterializedView => self.view(key, properties)?,
            Kind::Column => self.column_details(key, properties)?,
            Kind::Constraint => self.constraint(key, properties)?,
            Kind::Index => self.index(key, properties)?,
            Kind::Statistics => {
                let definition = required(key, properties, "definition")?;
                self.add(Phase::Index, definition.to_owned())?;
                if let Some(target) = properties.get("statistics target") {
                    let name = ident(&key.name)?;
                    let text = format!("ALTER STATISTICS {name} SET STATISTICS {target}");
                    self.add(Phase::Behaviour, text)?;
                }
            }
            Kind::Function | Kind::Procedure => self.routine(key, properties)?,
            Kind::Aggregate => self.aggregate(key, properties)?,
            Kind::Trigger | Kind::Rule => self.trigger_or_rule(key, properties)?,
            Kind::Policy => self.policy(key, properties)?,
            Kind::Extension
            | Kind::Collation
            | Kind::Operator
            | Kind::OperatorFamily
            | Kind::OperatorClass
            | Kind::Cast
            | Kind::TextSearchDictionary
            | Kind::TextSearchConfiguration
            | Kind::Conversion => self.rare(key, properties)?,
        }
        if let Some(comment) = properties.get("comment") {
            self.comment(key, comment)?;
        }
        self.privileges(key, properties)
    }

    fn comment(&mut self, key: &ObjectKey, comment: &str) -> Result<(), WriteError> {
        let (what, comment) = (self.called(key)?, Literal::new(comment)?);
        self.add(Phase::Comment, format!("COMMENT ON {what} IS {comment}"))?;
        Ok(())
    }

    /// How many tables this one is a partition of, each within the next.
    fn depth(&self, table: &str) -> usize {
        let of = self.of(Kind::Table, None, table);
        let part = of.filter(|of| of.contains_key("partition bound"));
        match part.and_then(|part| part.get("parents")) {
            Some(parent) => 1 + self.depth(&unquoted(parent)),
            None => 0,
        }
    }

    /// The properties of another object.
    fn of(&self, kind: Kind, table: Option<&str>, name: &str) -> Option<&'a Properties> {
        self.snapshot.get(&ObjectKey {
            kind,
            table: table.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

fn ident(name: &str) -> Result<Ident, WriteError> {
    Ok(Ident::new(name)?)
}

fn table_of(key: &ObjectKey) -> Result<&str, WriteError> {
    key.table
        .as_deref()
        .ok_or_else(|| unwritable(key, "it belongs to no table"))
}

fn required<'p>(
    key: &ObjectKey,
    properties: &'p Properties,
    property: &str,
) -> Result<&'p str, WriteError> {
    let value = properties.get(property).map(String::as_str);
    value.ok_or_else(|| unwritable(key, "its definition is not known"))
}

fn unwritable(key: &ObjectKey, why: &'static str) -> WriteError {
    WriteError::Unwritable {
        object: key.clone(),
        why,
    }
}
