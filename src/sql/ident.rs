//! Names of schemas, tables and columns: the only way a name gets into a built statement.

use std::fmt;

/// The longest name PostgreSQL keeps; longer ones are cut off silently, so that two names become one.
const MAX_BYTES: usize = 63;

/// A PostgreSQL identifier. `Display` writes it quoted, ready to stand in a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(String);

/// Why a text cannot be a PostgreSQL identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdent {
    /// The empty text.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than PostgreSQL keeps.
    #[error("the name has {0} bytes; PostgreSQL keeps only the first {MAX_BYTES}")]
    TooLong(usize),
    /// A control character, such as a line break or NUL.
    #[error("the name holds the control character {0:?}")]
    Control(char),
}

impl Ident {
    /// Takes any name that PostgreSQL would keep as it is: 1 to 63 bytes without control characters.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidIdent> {
        let name = name.into();
        if name.is_empty() {
            return Err(InvalidIdent::Empty);
        }
        if name.len() > MAX_BYTES {
            return Err(InvalidIdent::TooLong(name.len()));
        }
        if let Some(c) = name.chars().find(|c| c.is_control()) {
            return Err(InvalidIdent::Control(c));
        }
        Ok(Self(name))
    }

    /// The name itself, unquoted: for comparing and for people, never for a statement.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_whatever_it_holds() {
        let name = r#"we"ird; drop schema public cascade--"#;
        assert_eq!(
            Ident::new(name).unwrap().to_string(),
            r#""we""ird; drop schema public cascade--""#
        );
    }

    #[test]
    fn refuses_what_postgresql_would_change() {
        assert_eq!(Ident::new(""), Err(InvalidIdent::Empty));
        assert_eq!(Ident::new("é".repeat(32)), Err(InvalidIdent::TooLong(64)));
        assert_eq!(Ident::new("a\0b"), Err(InvalidIdent::Control('\0')));
    }
}
