//! One script: the SQL of one direction of a migration, or of a repeatable.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Checksum, Directives, Problem, check, code, directives, text};
use crate::sql::{Kind, Position, Statement, kind, split};

/// The SQL of one direction, cut into its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The file it was read from; for a stored script a name such as `<history>/20260301000000-orders.down.sql`.
    pub path: PathBuf,
    /// The whole text, as it is in the file.
    pub text: Arc<str>,
    /// The hash of the text.
    pub checksum: Checksum,
    /// What is sent, in order; a byte order mark is no part of it.
    pub statements: Vec<Statement>,
    /// Whether the file has a BEGIN … COMMIT pair around the whole script, which is left out of the statements.
    pub wrapped: bool,
    /// What its header lines ask for.
    pub directives: Directives,
}

impl Script {
    /// Reads a text that was judged before, or whose problems do not matter. What cannot be cut has no statements.
    pub fn parse(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self::read(path, text).0
    }

    /// As [`Script::read`], for a text that comes from the history instead of a file; `name` is what its file was called.
    pub fn stored(name: &str, text: impl Into<Arc<str>>) -> (Self, Vec<Problem>) {
        Self::read(Path::new("<history>").join(name), text)
    }

    /// Reads a text, and says what is wrong with it.
    pub fn read(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> (Self, Vec<Problem>) {
        let (path, text) = (path.into(), text.into());
        let (directives, mut problems) = directives::read(&path, &text);
        let (mut statements, mut wrapped) = (Vec::new(), false);
        match split(&text) {
            Ok(found) => statements = found,
            Err(open) => {
                let what = open.to_string();
                let span = open.offset..text.ceil_char_boundary(open.offset + 1);
                let problem = Problem::new(&code::UNTERMINATED, &path, what);
                problems.push(problem.at(&text, span, "opens here"));
            }
        }
        // Statement by statement the pair would mean something else: there it is refused like any other.
        if !directives.no_transaction && is_wrapped(&text, &statements) {
            statements.pop();
            statements.remove(0);
            wrapped = true;
        }
        let script = Self {
            checksum: Checksum::of(&text),
            path,
            text,
            statements,
            wrapped,
            directives,
        };
        problems.extend(check::problems(&script));
        problems.sort_by_key(|problem| problem.excerpt.as_ref().map(|e| e.span.start));
        (script, problems)
    }

    /// The text of one of its statements.
    pub fn statement(&self, statement: &Statement) -> &str {
        &self.text[statement.span.clone()]
    }

    /// The statements' texts, in order.
    pub fn statement_texts(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().map(|s| self.statement(s))
    }

    /// Line and column in the file of the byte at `offset` of the text.
    pub fn position(&self, offset: usize) -> Position {
        text::position(&self.text, offset)
    }

    /// Where the header has the directive `word`.
    pub(super) fn directive_place(&self, word: &str) -> Option<Range<usize>> {
        directives::place(&self.text, word)
    }
}

/// Whether a plain BEGIN … COMMIT stands around all statements, and no other one between them.
fn is_wrapped(text: &str, statements: &[Statement]) -> bool {
    let [first, inner @ .., last] = statements else {
        return false;
    };
    let is_control =
        |s: &Statement| matches!(kind(&text[s.span.clone()]), Kind::TransactionControl(_));
    // A BEGIN with options, such as an isolation level, asks for what the outer transaction does not give.
    let begins = [
        "BEGIN",
        "BEGIN WORK",
        "BEGIN TRANSACTION",
        "START TRANSACTION",
    ];
    let ends = [
        "COMMIT",
        "COMMIT WORK",
        "COMMIT TRANSACTION",
        "END",
        "END WORK",
        "END TRANSACTION",
    ];
    begins.contains(&&*words(&text[first.span.clone()]))
        && ends.contains(&&*words(&text[last.span.clone()]))
        && !inner.iter().any(is_control)
}

/// A short statement in upper case, with one space between its words.
fn words(statement: &str) -> String {
    let words: Vec<_> = statement.split_ascii_whitespace().take(3).collect();
    words.join(" ").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &Script) -> Vec<&str> {
        script.statement_texts().collect()
    }

    #[test]
    fn keeps_text_and_cuts_statements_without_mark() {
        let script = Script::parse("a.sql", "\u{feff}create table a ();\r\nselect 1;\r\n");
        assert_eq!(texts(&script), ["create table a ()", "select 1"]);
        assert_eq!(
            script.checksum,
            Checksum::of("create table a ();\nselect 1;\n")
        );
        assert_eq!(
            script.position(script.statements[0].span.start).to_string(),
            "1:1"
        );
        assert_eq!(
            script.position(script.statements[1].span.start).to_string(),
            "2:1"
        );
    }

    #[test]
    fn takes_a_pair_around_the_whole_script_away() {
        for (begin, end) in [
            ("BEGIN", "COMMIT"),
            ("begin work", "end"),
            ("Begin\n Transaction", "commit transaction"),
            ("START TRANSACTION", "END WORK"),
        ] {
            let (script, problems) = Script::read("a.sql", format!("{begin};\nselect 1;\n{end};"));
            assert!(script.wrapped && problems.is_empty(), "{begin} … {end}");
            assert_eq!(texts(&script), ["select 1"]);
        }
        let (script, _) = Script::read("a.sql", "BEGIN; COMMIT;");
        assert!(script.wrapped && script.statements.is_empty());
    }

    #[test]
    fn leaves_other_pairs_to_be_refused() {
        for text in [
            "BEGIN; select 1; COMMIT; select 2;",
            "BEGIN; select 1; COMMIT; BEGIN; select 2; COMMIT;",
            "BEGIN ISOLATION LEVEL SERIALIZABLE; select 1; COMMIT;",
            "BEGIN; select 1; ROLLBACK;",
            "BEGIN; select 1; COMMIT AND CHAIN;",
            "BEGIN",
            "-- tenantry: no-transaction\nBEGIN; select 1; COMMIT;",
        ] {
            let (script, problems) = Script::read("a.sql", text);
            assert!(!script.wrapped, "{text}");
            assert!(!problems.is_empty(), "{text}");
            assert!(
                problems
                    .iter()
                    .all(|p| p.code == &code::TRANSACTION_CONTROL)
            );
        }
    }

    #[test]
    fn a_stored_script_says_where_it_is_from() {
        let (script, problems) = Script::stored("1-orders.down.sql", "drop table orders");
        assert_eq!(problems, []);
        assert_eq!(script.path, Path::new("<history>/1-orders.down.sql"));
        assert_eq!(texts(&script), ["drop table orders"]);
    }
}
