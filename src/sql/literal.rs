//! Text values inside a built statement.

use std::fmt;

/// A text as an SQL literal, whatever `standard_conforming_strings` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal<'a>(&'a str);

/// PostgreSQL cannot hold a NUL byte in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text holds a NUL byte, which PostgreSQL cannot store")]
pub struct NulByte;

impl<'a> Literal<'a> {
    /// Takes any text without NUL.
    pub fn new(text: &'a str) -> Result<Self, NulByte> {
        if text.contains('\0') {
            return Err(NulByte);
        }
        Ok(Self(text))
    }
}

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.0.replace('\'', "''");
        if quoted.contains('\\') {
            // The whole message is read before its first SET runs, so the escape form must not depend on a setting.
            write!(f, "E'{}'", quoted.replace('\\', "\\\\"))
        } else {
            write!(f, "'{quoted}'")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_quotes_and_backslashes() {
        assert_eq!(Literal::new("it's").unwrap().to_string(), "'it''s'");
        assert_eq!(Literal::new(r"a\'b").unwrap().to_string(), r"E'a\\''b'");
        assert_eq!(Literal::new("a\0"), Err(NulByte));
    }
}
