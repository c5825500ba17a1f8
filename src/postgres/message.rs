//! SQL that was put together at run time.

use std::sync::Arc;

/// A text that its maker vouches for. `tests/architecture.rs` lists the files that may make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    text: Arc<str>,
    relations: u32,
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
        }
    }

    /// How many relations (tables, indexes, sequences) it touches, by estimate: the server remembers each of them for as
    /// long as the connection lives.
    #[must_use]
    pub fn touching(self, relations: u32) -> Self {
        Self { relations, ..self }
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
