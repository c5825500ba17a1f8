//! What a structure consists of, and how an object is called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an object is called within its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// What it is.
    pub kind: Kind,
    /// The table or view it belongs to; none for what stands on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Its name, unquoted; functions and operators with the types of their
    /// arguments; the schema itself without one.
    pub name: String,
}

/// What an object is, in the order in which people want to read of them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[expect(missing_docs, reason = "PostgreSQL's own words")]
pub enum Kind {
    Schema,
    Extension,
    Collation,
    Type,
    Sequence,
    Table,
    View,
    MaterializedView,
    Column,
    Constraint,
    Index,
    Statistics,
    Function,
    Procedure,
    Aggregate,
    Operator,
    OperatorFamily,
    OperatorClass,
    Cast,
    Trigger,
    Rule,
    Policy,
    TextSearchDictionary,
    TextSearchConfiguration,
    Conversion,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, table, name } = self;
        match (kind, table) {
            (Kind::Schema, _) => f.write_str("the schema"),
            (Kind::Column, Some(table)) => write!(f, "{table}.{name}"),
            // An index is known by its name alone.
            (Kind::Index, _) | (_, None) => write!(f, "{kind} {name}"),
            (_, Some(table)) => write!(f, "{kind} {name} on {table}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema => "schema",
            Self::Extension => "extension",
            Self::Collation => "collation",
            Self::Type => "type",
            Self::Sequence => "sequence",
            Self::Table => "table",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::Index => "index",
            Self::Statistics => "statistics",
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Aggregate => "aggregate",
            Self::Operator => "operator",
            Self::OperatorFamily => "operator family",
            Self::OperatorClass => "operator class",
            Self::Cast => "cast",
            Self::Trigger => "trigger",
            Self::Rule => "rule",
            Self::Policy => "policy",
            Self::TextSearchDictionary => "text search dictionary",
            Self::TextSearchConfiguration => "text search configuration",
            Self::Conversion => "conversion",
        })
    }
}
