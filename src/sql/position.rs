//! Where in a text a byte stands, for people.

use std::fmt;

/// A line and a column, both counted from 1; columns count characters, as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of the byte at `offset`; the end of the text where it lies beyond.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes() {
        let text = "select 1;\ngröße ☃ x";
        let x = text.find('x').unwrap();
        assert_eq!(Position::of(text, x), Position { line: 2, column: 9 });
        assert_eq!(
            Position::of(text, 999),
            Position {
                line: 2,
                column: 10
            }
        );
    }
}
