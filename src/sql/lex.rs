//! The tokens of SQL text, cut where PostgreSQL's own lexer cuts them, with `standard_conforming_strings` on.
//!
//! Every byte of the text belongs to exactly one token. One pass, no recursion, no allocation: it must never take
//! more than linear time, whatever the text. It must never guess: what is opened and not closed is an error.

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

/// A quote, comment or body that the script opens and never closes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is never closed")]
pub struct Unterminated {
    /// What is open, such as "a string" or "a dollar-quoted body $fn$".
    pub what: String,
    /// The byte at which it opens.
    pub offset: usize,
}

/// The tokens of a text, in order. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    first_on_line: bool,
    escapes: Escapes,
}

/// Whether a string that comes next continues an `E''` string, and so takes backslashes as that one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    No,
    AfterLineBreak,
    Yes,
}

impl<'a> Lexer<'a> {
    /// Reads `text` from its start.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            first_on_line: true,
            escapes: Escapes::No,
        }
    }

    /// Goes on at the byte `at`, behind something that is no SQL.
    pub(super) fn skip_to(&mut self, at: usize) {
        self.at = at;
        self.first_on_line = false;
        self.escapes = Escapes::No;
    }

    /// The kind of the token at `self.at` and the byte after it.
    fn cut(&self, first: u8) -> Result<(TokenKind, usize), Unterminated> {
        let (text, at) = (self.text, self.at);
        let next = text.as_bytes().get(at + 1).copied().unwrap_or(0);
        Ok(match first {
            _ if is_space(first) => (TokenKind::Space, run(text, at, is_space)),
            0xEF if at == 0 && text.starts_with('\u{FEFF}') => (TokenKind::ByteOrderMark, 3),
            b'-' if next == b'-' => self.line_comment(),
            b'/' if next == b'*' => (TokenKind::BlockComment, block_comment(text, at)?),
            b'\'' if self.escapes == Escapes::Yes => (TokenKind::String, escaped(text, at, at)?),
            b'\'' => (TokenKind::String, quoted(text, at, at)?),
            b'"' => (TokenKind::QuotedName, quoted(text, at, at)?),
            b'E' | b'e' if next == b'\'' => (TokenKind::String, escaped(text, at, at + 1)?),
            b'B' | b'b' | b'X' | b'x' | b'N' | b'n' if next == b'\'' => {
                (TokenKind::String, quoted(text, at, at + 1)?)
            }
            b'U' | b'u' if next == b'&' => unicode(text, at)?,
            _ if begins_word(first) => (TokenKind::Word, run(text, at, continues_word)),
            b'0'..=b'9' => (TokenKind::Number, number(text, at)),
            b'.' if next.is_ascii_digit() => (TokenKind::Number, number(text, at)),
            b'$' if next.is_ascii_digit() => {
                let digits = run(text, at + 1, |b| b.is_ascii_digit());
                (TokenKind::Parameter, digits)
            }
            b'$' => dollar(text, at)?,
            b'\\' => (TokenKind::MetaCommand, run(text, at, |b| !is_line_break(b))),
            b';' => (TokenKind::Semicolon, at + 1),
            b'(' => (TokenKind::Open, at + 1),
            b')' => (TokenKind::Close, at + 1),
            _ if is_operator(first) => (TokenKind::Operator, operator(text, at)),
            _ => (TokenKind::Punctuation, at + 1),
        })
    }

    fn line_comment(&self) -> (TokenKind, usize) {
        let end = run(self.text, self.at, |b| !is_line_break(b));
        let separates = self.first_on_line && self.text[self.at..end].starts_with("--;;");
        let kind = if separates {
            TokenKind::Separator
        } else {
            TokenKind::LineComment
        };
        (kind, end)
    }

    /// Remembers what the next token's meaning depends on.
    fn remember(&mut self, token: &Token) {
        let bytes = &self.text.as_bytes()[token.span.clone()];
        let breaks_line = bytes.iter().any(|b| is_line_break(*b));
        self.first_on_line = match token.kind {
            TokenKind::Space => self.first_on_line || breaks_line,
            kind => kind == TokenKind::ByteOrderMark,
        };
        self.escapes = match token.kind {
            TokenKind::Space if self.escapes == Escapes::AfterLineBreak && breaks_line => {
                Escapes::Yes
            }
            TokenKind::Space | TokenKind::LineComment => self.escapes,
            TokenKind::String if self.escapes == Escapes::Yes && bytes[0] == b'\'' => {
                Escapes::AfterLineBreak
            }
            TokenKind::String if matches!(bytes[0], b'E' | b'e') => Escapes::AfterLineBreak,
            _ => Escapes::No,
        };
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Unterminated>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.text.as_bytes().get(self.at)?;
        let (kind, end) = match self.cut(first) {
            Ok(found) => found,
            Err(error) => {
                self.at = self.text.len();
                return Some(Err(error));
            }
        };
        let token = Token {
            kind,
            span: self.at..end,
        };
        self.remember(&token);
        self.at = end;
        Some(Ok(token))
    }
}

/// The first byte from `at` on that does not belong.
fn run(text: &str, at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let rest = &text.as_bytes()[at..];
    at + rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len())
}

/// The byte after the quotes that open at `quote`; a doubled quote does not close them.
fn quoted(text: &str, start: usize, quote: usize) -> Result<usize, Unterminated> {
    let bytes = text.as_bytes();
    let mut at = quote + 1;
    while at < bytes.len() {
        at = run(text, at, |b| b != bytes[quote]) + 1;
        if at <= bytes.len() && bytes.get(at) != Some(&bytes[quote]) {
            return Ok(at);
        }
        at += 1;
    }
    let what = if bytes[quote] == b'"' {
        "a quoted name"
    } else {
        "a string"
    };
    Err(unterminated(what, start))
}

/// As [`quoted`], where a backslash takes the meaning from the character after it.
fn escaped(text: &str, start: usize, quote: usize) -> Result<usize, Unterminated> {
    let bytes = text.as_bytes();
    let mut at = quote + 1;
    while let Some(byte) = bytes.get(at) {
        at += match (byte, bytes.get(at + 1)) {
            (b'\'', Some(b'\'')) | (b'\\', _) => 2,
            (b'\'', _) => return Ok(at + 1),
            _ => 1,
        };
    }
    Err(unterminated("a string", start))
}

/// `U&'…'`, `U&"…"`, or a word that only begins alike.
fn unicode(text: &str, at: usize) -> Result<(TokenKind, usize), Unterminated> {
    Ok(match text.as_bytes().get(at + 2) {
        Some(b'\'') => (TokenKind::String, quoted(text, at, at + 2)?),
        Some(b'"') => (TokenKind::QuotedName, quoted(text, at, at + 2)?),
        _ => (TokenKind::Word, at + 1),
    })
}

fn block_comment(text: &str, start: usize) -> Result<usize, Unterminated> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return Ok(at + 2),
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    Err(unterminated("a comment", start))
}

/// A string between dollar signs, or the lone dollar sign that PostgreSQL sees where none begins.
fn dollar(text: &str, at: usize) -> Result<(TokenKind, usize), Unterminated> {
    let bytes = text.as_bytes();
    let tag = run(text, at + 1, |b| continues_word(b) && b != b'$');
    if bytes.get(tag) != Some(&b'$') {
        return Ok((TokenKind::Punctuation, at + 1));
    }
    let delimiter = &text[at..=tag];
    match text[tag + 1..].find(delimiter) {
        Some(inside) => {
            let end = tag + 1 + inside + delimiter.len();
            Ok((TokenKind::DollarString, end))
        }
        None => Err(unterminated(
            &format!("a dollar-quoted body {delimiter}"),
            at,
        )),
    }
}

/// The longest number that begins at `at`. What follows without a blank is the next token, as before PostgreSQL 15;
/// newer servers refuse it.
fn number(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let is_digit: fn(u8) -> bool = match (byte(at), byte(at + 1) | 0x20) {
        (b'0', b'x') => |b| b.is_ascii_hexdigit(),
        (b'0', b'o' | b'b') => |b| b.is_ascii_digit(),
        _ => {
            let mut end = digits(text, at, |b| b.is_ascii_digit());
            // Two dots are the range of a loop in PL/pgSQL, not a fraction.
            if byte(end) == b'.' && byte(end + 1) != b'.' {
                end = digits(text, end + 1, |b| b.is_ascii_digit());
            }
            let sign = usize::from(matches!(byte(end + 1), b'+' | b'-'));
            if byte(end) | 0x20 == b'e' && byte(end + 1 + sign).is_ascii_digit() {
                end = digits(text, end + 1 + sign, |b| b.is_ascii_digit());
            }
            return end;
        }
    };
    digits(text, at + 2, is_digit)
}

/// The byte after digits which single underscores may part.
fn digits(text: &str, at: usize, is_digit: fn(u8) -> bool) -> usize {
    let mut end = run(text, at, is_digit);
    while let [b'_', digit, ..] = text.as_bytes()[end..]
        && is_digit(digit)
    {
        end = run(text, end + 1, is_digit);
    }
    end
}

/// An operator stops where a comment begins.
fn operator(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: &usize| match bytes[*at..] {
        [b'-', b'-', ..] | [b'/', b'*', ..] => true,
        [byte, ..] => !is_operator(byte),
        [] => true,
    };
    (start + 1..bytes.len()).find(ends).unwrap_or(bytes.len())
}

fn unterminated(what: &str, offset: usize) -> Unterminated {
    Unterminated {
        what: what.to_owned(),
        offset,
    }
}

fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0B' | b'\x0C')
}

/// PostgreSQL takes every byte outside of ASCII for a letter.
fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}
