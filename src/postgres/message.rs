//! SQL that was put together at run time.

use std::sync::Arc;

/// A text that its maker vouches for. `tests/architecture.rs` lists the files that may make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    text: Arc<str>,
    relations: u32,
    statements: u32,
}

/// So many relations a message counts for that does not say how many it touches: a schema of middling size.
const MIDDLING: u32 = 50;

impl Message {
    /// Vouches that `text` holds names through [`Ident`](crate::sql::Ident) only, values through
    /// [`Literal`](crate::sql::Literal) only, and beside them nothing but our own text and users' scripts.
    pub fn vouched(text: impl Into<Arc<str>>) -> Self {
        Self {
            text: text.into(),
            relations: MIDDLING,
            statements: 0,
        }
    }

    /// How many relations (tables, indexes, sequences) it touches, by estimate: the server remembers each of them for as
    /// long as the connection lives.
    #[must_use]
    pub fn touching(self, relations: u32) -> Self {
        Self { relations, ..self }
    }

    /// How many statements of migrations it has, which count where so many a second are allowed.
    #[must_use]
    pub fn of_statements(self, statements: usize) -> Self {
        let statements = u32::try_from(statements).unwrap_or(u32::MAX);
        Self { statements, ..self }
    }

    /// How many statements of migrations it has.
    pub fn statements(&self) -> u32 {
        self.statements
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn shared(&self) -> Arc<str> {
        self.text.clone()
    }

    pub(super) fn relations(&self) -> u32 {
        self.relations
    }
}
