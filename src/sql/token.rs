//! What the lexer hands out.

use std::ops::Range;

/// One token of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes in the text.
    pub span: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Blanks and line breaks; a no-break space is none.
    Space,
    /// A byte order mark at the start of the text.
    ByteOrderMark,
    /// `-- …` up to the end of the line.
    LineComment,
    /// `/* … */`, with the comments nested in it.
    BlockComment,
    /// A comment that begins with `--;;` and stands first on its line.
    Separator,
    /// A key word or a name without quotes.
    Word,
    /// A name in double quotes, `U&"…"` included.
    QuotedName,
    /// A string in single quotes with its prefix (`E`, `B`, `X`, `N`, `U&`).
    String,
    /// A string between dollar signs.
    DollarString,
    /// A number.
    Number,
    /// `$1`
    Parameter,
    /// A run of operator characters. A sign right after an operator belongs to the run: it matters to nobody here.
    Operator,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// Any other single character, such as a comma, a dot or a bracket.
    Punctuation,
    /// A backslash outside of quotes and the rest of its line: a command for psql, which no server takes.
    MetaCommand,
}

impl TokenKind {
    /// True for what PostgreSQL skips between two tokens.
    pub fn is_blank(self) -> bool {
        matches!(
            self,
            Self::Space
                | Self::ByteOrderMark
                | Self::LineComment
                | Self::BlockComment
                | Self::Separator
        )
    }
}
