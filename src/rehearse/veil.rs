//! What a server says of an error, without what it quotes of rows: a rehearsal meets real ones, and its report is kept.

use crate::postgres::ServerError;

/// Classes of errors whose details are about structures, locks or the server, and never about rows; TN is our own.
const STRUCTURAL: [&str; 8] = ["0A", "2B", "40", "42", "53", "55", "57", "TN"];

/// Data exceptions: their messages quote the value.
const DATA: &str = "22";

/// Marks that PostgreSQL quotes values with, in the languages that it speaks.
const QUOTES: [char; 8] = ['"', '“', '”', '„', '«', '»', '「', '」'];

/// How lines of the context begin that say where in a function it was, and nothing else.
const WHERE: [&str; 2] = ["PL/pgSQL function ", "SQL function "];

/// Takes out what may quote rows; whether that was anything.
///
/// What a script itself raises as its message stays: its author chose the words.
pub(super) fn veil(error: &mut ServerError) -> bool {
    let class = error.code.get(..2).unwrap_or_default();
    let mut is_less = false;
    if class == DATA
        && let Some(message) = unquoted(&error.message)
    {
        error.message = message;
        is_less = true;
    }
    if !STRUCTURAL.contains(&class) {
        is_less |= error.detail.take().is_some();
    }
    if let Some(context) = error.context.take() {
        let is_kept = |line: &&str| WHERE.iter().any(|start| line.starts_with(start));
        let kept: Vec<_> = context.lines().filter(is_kept).collect();
        is_less |= kept.len() < context.lines().count();
        error.context = (!kept.is_empty()).then(|| kept.join("\n"));
    }
    is_less
}

/// The same error, less what may quote rows.
pub(super) fn veiled(mut error: ServerError) -> ServerError {
    veil(&mut error);
    error
}

/// The text without what stands between its first quote and its last; none where nothing does.
fn unquoted(text: &str) -> Option<String> {
    let (start, mark) = text.char_indices().find(|(_, c)| QUOTES.contains(c))?;
    let start = start + mark.len_utf8();
    let end = text.rfind(QUOTES).filter(|end| *end >= start)?;
    Some(format!("{}…{}", &text[..start], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str, detail: &str) -> ServerError {
        ServerError {
            code: code.to_owned(),
            detail: Some(detail.to_owned()),
            ..ServerError::local(message.to_owned())
        }
    }

    #[test]
    fn what_quotes_a_row_goes_and_the_rest_stays() {
        let mut row = error(
            "23502",
            "null value in column \"a\"",
            "Failing row contains (5).",
        );
        assert!(veil(&mut row));
        assert_eq!(
            (row.message.as_str(), row.detail),
            ("null value in column \"a\"", None)
        );
        let mut value = error(
            "22P02",
            "invalid input for type integer: \"it's \"5\"\"",
            "",
        );
        assert!(veil(&mut value));
        assert_eq!(value.message, "invalid input for type integer: \"…\"");
        let mut view = error("2BP01", "cannot drop \"a\"", "view v depends on it");
        assert!(!veil(&mut view));
        assert_eq!(view.detail.as_deref(), Some("view v depends on it"));
        let mut raised = error("P0001", "\"mine\"", "row");
        assert!(veil(&mut raised));
        assert_eq!((raised.message.as_str(), raised.detail), ("\"mine\"", None));
    }

    #[test]
    fn of_the_context_only_the_place_stays() {
        let mut error = error("22P02", "no quote \"", "");
        error.detail = None;
        error.context = Some(
            "SQL statement \"select 'secret\n SQL function 1'::int\"\nPL/pgSQL function f(text) line 1 at EXECUTE"
                .to_owned(),
        );
        assert!(veil(&mut error));
        assert_eq!(error.message, "no quote \"");
        assert_eq!(
            error.context.as_deref(),
            Some("PL/pgSQL function f(text) line 1 at EXECUTE")
        );
        assert!(!veil(&mut error));
    }
}
