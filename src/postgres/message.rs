//! SQL that was put together at run time.

use std::sync::Arc;

/// A text that its maker vouches for. `tests/architecture.rs` lists the files that may make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(Arc<str>);

impl Message {
    /// Vouches that `text` holds names through [`Ident`](crate::sql::Ident) only, values through
    /// [`Literal`](crate::sql::Literal) only, and beside them nothing but our own text and users' scripts.
    pub fn vouched(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}
