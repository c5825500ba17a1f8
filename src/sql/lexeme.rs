//! Where a lexeme ends, given where it begins: PostgreSQL's rules for quotes, comments, numbers and operators.
//!
//! No function looks further than a byte or a tag beyond what it returns: the whole takes linear time.

use super::lex::Unterminated;
use super::token::TokenKind;

/// The first byte from `at` on that does not belong.
pub(super) fn run(text: &str, at: usize, belongs: impl Fn(u8) -> bool) -> usize {
    let rest = &text.as_bytes()[at..];
    at + rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len())
}

/// The byte after the quotes that open at `quote`; a doubled quote does not close them.
pub(super) fn quoted(text: &str, start: usize, quote: usize) -> Result<usize, Unterminated> {
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
pub(super) fn escaped(text: &str, start: usize, quote: usize) -> Result<usize, Unterminated> {
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
pub(super) fn unicode(text: &str, at: usize) -> Result<(TokenKind, usize), Unterminated> {
    Ok(match text.as_bytes().get(at + 2) {
        Some(b'\'') => (TokenKind::String, quoted(text, at, at + 2)?),
        Some(b'"') => (TokenKind::QuotedName, quoted(text, at, at + 2)?),
        _ => (TokenKind::Word, at + 1),
    })
}

pub(super) fn block_comment(text: &str, start: usize) -> Result<usize, Unterminated> {
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
pub(super) fn dollar(text: &str, at: usize) -> Result<(TokenKind, usize), Unterminated> {
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
pub(super) fn number(text: &str, at: usize) -> usize {
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
pub(super) fn operator(text: &str, start: usize) -> usize {
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

pub(super) fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0B' | b'\x0C')
}

/// PostgreSQL takes every byte outside of ASCII for a letter.
pub(super) fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

pub(super) fn continues_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

pub(super) fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}
