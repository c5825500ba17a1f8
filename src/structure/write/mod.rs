//! A snapshot as SQL that makes the same structure in an empty schema.
//!
//! The statements stand in the order in which they usually can be run; which one needs which other is known to the server
//! alone, so whoever runs them has to try. What cannot be written is refused, never left out.

mod object;
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
    Type,
    Sequence,
    Routine,
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
            }
            Kind::Function | Kind::Procedure => self.routine(key, properties)?,
            Kind::Aggregate => self.aggregate(key, properties)?,
            Kind::Trigger | Kind::Rule => self.trigger_or_rule(key, properties)?,
            Kind::Policy => self.policy(key, properties)?,
        }
        match properties.get("comment") {
            Some(comment) => self.comment(key, comment),
            None => Ok(()),
        }
    }

    fn comment(&mut self, key: &ObjectKey, comment: &str) -> Result<(), WriteError> {
        let name = ident(&key.name)?;
        let of_table = |word: &str| -> Result<String, WriteError> {
            Ok(format!("{word} {name} ON {}", ident(table_of(key)?)?))
        };
        let what = match key.kind {
            Kind::Schema => return Err(unwritable(key, "its name is not known here")),
            Kind::Type if self.is_domain(key) => format!("DOMAIN {name}"),
            Kind::Type => format!("TYPE {name}"),
            Kind::Sequence => format!("SEQUENCE {name}"),
            Kind::Table => format!("TABLE {name}"),
            Kind::View => format!("VIEW {name}"),
            Kind::MaterializedView => format!("MATERIALIZED VIEW {name}"),
            Kind::Column => format!("COLUMN {}.{name}", ident(table_of(key)?)?),
            Kind::Index => format!("INDEX {name}"),
            Kind::Statistics => format!("STATISTICS {name}"),
            Kind::Constraint => of_table("CONSTRAINT")?,
            Kind::Trigger => of_table("TRIGGER")?,
            Kind::Rule => of_table("RULE")?,
            Kind::Policy => of_table("POLICY")?,
            Kind::Function => format!("FUNCTION {}", signature(key)?),
            Kind::Procedure => format!("PROCEDURE {}", signature(key)?),
            Kind::Aggregate => format!("AGGREGATE {}", signature(key)?),
        };
        let comment = Literal::new(comment)?;
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

/// Name and types of arguments, as they stand in a statement; `*` is what an aggregate without arguments takes.
fn signature(key: &ObjectKey) -> Result<String, WriteError> {
    let (name, arguments) = key
        .name
        .split_once('(')
        .ok_or_else(|| unwritable(key, "its arguments are not known"))?;
    let name = ident(name)?;
    Ok(match arguments {
        ")" if key.kind == Kind::Aggregate => format!("{name}(*)"),
        arguments => format!("{name}({arguments}"),
    })
}
