//! What a statement is, as far as it matters for carrying it.

/// The kinds of statement that are not carried like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything else.
    Other,
}

/// Tells the kind of one statement.
pub fn kind(_statement: &str) -> Kind {
    Kind::Other
}
