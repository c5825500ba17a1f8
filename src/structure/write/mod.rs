//! A snapshot as SQL that makes the same structure in an empty schema.
//!
//! The statements stand in the order in which they usually can be run; which one needs which other is known to the server
//! alone, so whoever runs them has to try. What cannot be written is refused, never left out.

mod aggregate;
mod called;
mod object;
mod rare;
mod table;

use super::{Kind, ObjectKey, Properties, Snapshot};
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

/// One statement a text, without the semicolon at its end. Names come without the schema's.
///
/// # Errors
/// Where anything in the snapshot cannot be written.
pub fn write(snapshot: &Snapshot) -> Result<Vec<String>, WriteError> {
    let mut writer = Writer {
        snapshot,
        phases: Default::default(),
    };
    for (key, properties) in snapshot.objects() {
        writer.object(key, properties)?;
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
    Reference,
    View,
    Index,
    Family,
    Behaviour,
    Comment,
}

const PHASES: usize = Phase::Comment as usize + 1;

struct Writer<'a> {
    snapshot: &'a Snapshot,
    phases: [Vec<String>; PHASES],
}

impl Writer<'_> {
    fn add(&mut self, phase: Phase, statement: String) {
        self.phases[phase as usize].push(statement);
    }

    fn object(&mut self, key: &ObjectKey, properties: &Properties) -> Result<(), WriteError> {
        match key.kind {
            Kind::Schema => return Err(unwritable(key, "its name is not known here")),
            Kind::Type => self.a_type(key, properties)?,
            Kind::Sequence => self.sequence(key, properties)?,
            Kind::Table => self.table(key, properties)?,
            Kind::View | Kind::MaterializedView => self.view(key, properties)?,
            Kind::Column => self.column_details(key, properties)?,
            Kind::Constraint => self.constraint(key, properties)?,
            Kind::Index => self.index(key, properties)?,
            Kind::Statistics => {
                let definition = required(key, properties, "definition")?;
                self.add(Phase::Index, definition.to_owned());
                if let Some(target) = properties.get("statistics target") {
                    let name = ident(&key.name)?;
                    let text = format!("ALTER STATISTICS {name} SET STATISTICS {target}");
                    self.add(Phase::Behaviour, text);
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
        match properties.get("comment") {
            Some(comment) => self.comment(key, comment),
            None => Ok(()),
        }
    }

    fn comment(&mut self, key: &ObjectKey, comment: &str) -> Result<(), WriteError> {
        let (what, comment) = (self.called(key)?, Literal::new(comment)?);
        self.add(Phase::Comment, format!("COMMENT ON {what} IS {comment}"));
        Ok(())
    }

    /// The properties of another object.
    fn of(&self, kind: Kind, table: Option<&str>, name: &str) -> Option<&Properties> {
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
