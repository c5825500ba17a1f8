//! The text of a file: its bytes read as UTF-8, and where in it something stands.

use std::{path::Path, sync::Arc};

use super::{Problem, code};
use crate::sql::Position;

/// What editors on Windows put before a text; it is no part of the first statement.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text of a file's bytes. Where they are no UTF-8, what can be read of them, and the problem.
pub(super) fn decode(path: &Path, bytes: Vec<u8>) -> (Arc<str>, Option<Problem>) {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return (text.into(), None),
        Err(error) => error,
    };
    let (start, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
    let what = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        "the file is UTF-16, not UTF-8".to_owned()
    } else {
        format!("the byte 0x{:02X} is not UTF-8", bytes[start])
    };
    // Up to the bad byte the lossy text has the same bytes; there it has a replacement character.
    let text: Arc<str> = String::from_utf8_lossy(bytes).into();
    let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
    let problem = Problem::new(&code::INVALID_UTF8, path, what).at(&text, start..end, "");
    (text, Some(problem))
}

/// The text without a byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Line and column of the byte at `offset`; a byte order mark has no column.
pub(super) fn position(text: &str, offset: usize) -> Position {
    let rest = without_mark(text);
    Position::of(rest, offset.saturating_sub(text.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_bad_byte_and_where_it_stands() {
        let (text, problem) = decode(Path::new("a.sql"), b"select\n'\xc3\xa9 \xe9'".to_vec());
        assert_eq!(&*text, "select\n'é \u{fffd}'");
        let problem = problem.unwrap();
        assert_eq!(problem.what, "the byte 0xE9 is not UTF-8");
        assert_eq!(problem.position(), Some(Position { line: 2, column: 4 }));
    }

    #[test]
    fn a_byte_order_mark_has_no_column() {
        assert_eq!(position("\u{feff}ab", 4), Position { line: 1, column: 2 });
    }
}
