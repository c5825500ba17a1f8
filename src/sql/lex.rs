//! The tokens of SQL text, cut where PostgreSQL's own lexer cuts them, with `standard_conforming_strings` on.
//!
//! Every byte of the text belongs to exactly one token. One pass, no recursion, no allocation: it must never take
//! more than linear time, whatever the text. It must never guess: what is opened and not closed is an error.

use super::lexeme::{
    begins_word, block_comment, continues_word, dollar, escaped, is_line_break, is_operator,
    is_space, number, operator, quoted, run, unicode,
};
use super::token::{Token, TokenKind};

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
            TokenKind::Space | TokenKind::LineComment | TokenKind::Separator => self.escapes,
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

/// A quote, comment or body that the script opens and never closes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is never closed")]
pub struct Unterminated {
    /// What is open, such as "a string" or "a dollar-quoted body $fn$".
    pub what: String,
    /// The byte at which it opens.
    pub offset: usize,
}

#[cfg(test)]
mod tests {
    use super::TokenKind::*;
    use super::*;

    /// The tokens that are no space.
    fn tokens(text: &str) -> Vec<(TokenKind, &str)> {
        Lexer::new(text)
            .map(Result::unwrap)
            .filter(|token| token.kind != Space)
            .map(|token| (token.kind, &text[token.span]))
            .collect()
    }

    #[test]
    fn reads_prefixes_only_right_before_the_quote() {
        assert_eq!(
            tokens(r#"e'\'' U&"a" u&'b' u&c xe'd' n 'e'"#),
            [
                (String, r"e'\''"),
                (QuotedName, r#"U&"a""#),
                (String, "u&'b'"),
                (Word, "u"),
                (Operator, "&"),
                (Word, "c"),
                (Word, "xe"),
                (String, "'d'"),
                (Word, "n"),
                (String, "'e'"),
            ]
        );
    }

    #[test]
    fn goes_on_with_escapes_after_a_line_break_only() {
        let continued = "E'a'\n -- x\n 'b\\'' 'c\\'";
        assert_eq!(
            tokens(continued)[2..],
            [(String, "'b\\''"), (String, "'c\\'")]
        );
        assert_eq!(tokens("E'a' 'b\\'").len(), 2);
        assert_eq!(tokens("'a'\n'b\\'").len(), 2);
    }

    #[test]
    fn tells_dollar_quotes_from_names_and_parameters() {
        assert_eq!(
            tokens("a$b$ $1$x$ $y$ $x$ $2a$ +$"),
            [
                (Word, "a$b$"),
                (Parameter, "$1"),
                (DollarString, "$x$ $y$ $x$"),
                (Parameter, "$2"),
                (Word, "a$"),
                (Operator, "+"),
                (Punctuation, "$"),
            ]
        );
    }

    #[test]
    fn stops_operators_at_comments_and_numbers_at_letters() {
        assert_eq!(
            tokens("@>/**/<=--x\n1..2 3.e4 5e+6 0xFFg 7_000_ .8"),
            [
                (Operator, "@>"),
                (BlockComment, "/**/"),
                (Operator, "<="),
                (LineComment, "--x"),
                (Number, "1"),
                (Punctuation, "."),
                (Number, ".2"),
                (Number, "3.e4"),
                (Number, "5e+6"),
                (Number, "0xFF"),
                (Word, "g"),
                (Number, "7_000"),
                (Word, "_"),
                (Number, ".8"),
            ]
        );
    }

    #[test]
    fn knows_what_only_looks_blank() {
        assert_eq!(
            tokens("\u{FEFF}--;;\n\u{A0}--;;\r--;; x\u{FEFF}\n\u{FEFF}"),
            [
                (ByteOrderMark, "\u{FEFF}"),
                (Separator, "--;;"),
                (Word, "\u{A0}"),
                (LineComment, "--;;"),
                (Separator, "--;; x\u{FEFF}"),
                (Word, "\u{FEFF}"),
            ]
        );
    }
}
