//! What cannot be carried: the statements of a script that are refused, and why.
//!
//! Only what would break a promise stands here; what is merely unwise is for `lint` to say.

use super::{Code, Problem, Script, code};
use crate::sql::{Kind, Lexer, Statement, TokenKind, kind};

/// What is wrong with the statements of a script.
pub(super) fn problems(script: &Script) -> Vec<Problem> {
    let refused = script.statements.iter().filter_map(|s| refuse(script, s));
    refused.chain(nul_byte(script)).collect()
}

fn refuse(script: &Script, statement: &Statement) -> Option<Problem> {
    let (code, what, label): (&Code, String, &str) =
        match kind(without_data(script.statement(statement))) {
            Kind::TransactionControl(words) => (
                &code::TRANSACTION_CONTROL,
                control(words, script.directives.no_transaction),
                "",
            ),
            Kind::NoTransaction("CREATE INDEX CONCURRENTLY")
                if script.directives.no_transaction && is_unnamed(script.statement(statement)) =>
            {
                (&code::UNNAMED_INDEX, "the index has no name".to_owned(), "")
            }
            Kind::NoTransaction(_) if script.directives.no_transaction => return None,
            Kind::NoTransaction(words) => (
                &code::NEEDS_NO_TRANSACTION,
                format!("{words} cannot run in a transaction"),
                "",
            ),
            Kind::SearchPath(words) => (
                &code::SEARCH_PATH,
                format!("{words} would leave the schema that is migrated"),
                "",
            ),
            Kind::Role(words) => (&code::SET_ROLE, format!("{words} changes the role"), ""),
            Kind::Session(words) => session(words),
            Kind::Copy(words) => (
                &code::COPY_CLIENT,
                format!("{words} exchanges rows with the client"),
                "",
            ),
            Kind::MetaCommand => return psql_command(script, statement),
            _ => return None,
        };
    let problem = Problem::new(code, &script.path, what);
    Some(problem.at(&script.text, statement.span.clone(), label))
}

/// A `COPY` without the data that follows its semicolon: that is no SQL, and its `\.` no command.
fn without_data(statement: &str) -> &str {
    let mut tokens = Lexer::new(statement).map_while(Result::ok);
    let first = tokens.find(|token| !token.kind.is_blank());
    let is_copy = first.is_some_and(|first| statement[first.span].eq_ignore_ascii_case("copy"));
    match tokens.find(|token| token.kind == TokenKind::Semicolon) {
        Some(end) if is_copy => &statement[..end.span.start],
        _ => statement,
    }
}

/// Whether the table comes where the name of an index should be.
fn is_unnamed(statement: &str) -> bool {
    let tokens = Lexer::new(statement).map_while(Result::ok);
    let mut words = tokens
        .filter(|token| !token.kind.is_blank())
        .map(|token| &statement[token.span]);
    let is = |word: &str, of: &str| word.eq_ignore_ascii_case(of);
    words.any(|word| is(word, "concurrently")) && words.next().is_some_and(|word| is(word, "on"))
}

/// The command may stand within a statement, and is marked there.
fn psql_command(script: &Script, statement: &Statement) -> Option<Problem> {
    let mut tokens = Lexer::new(script.statement(statement)).map_while(Result::ok);
    let command = tokens.find(|token| token.kind == TokenKind::MetaCommand)?;
    let start = statement.span.start;
    let span = start + command.span.start..start + command.span.end;
    let what = "a line for psql stands in the script";
    let problem = Problem::new(&code::PSQL_COMMAND, &script.path, what);
    Some(problem.at(&script.text, span, "no SQL"))
}

fn control(words: &str, no_transaction: bool) -> String {
    if no_transaction {
        format!(
            "{words} stands in a script marked no-transaction, which is carried statement by statement"
        )
    } else {
        format!("{words} would break up the transaction in which the script is carried")
    }
}

fn session(words: &'static str) -> (&'static Code, String, &'static str) {
    match words {
        "DISCARD" => (
            &code::DISCARD,
            "DISCARD drops the state of the session".to_owned(),
            "",
        ),
        "RESET" => (
            &code::RESET,
            "RESET takes settings of the session back".to_owned(),
            "",
        ),
        "PREPARE" | "DEALLOCATE" | "LISTEN" | "DECLARE … WITH HOLD" => (
            &code::SESSION_STATE,
            format!("{words} changes what the session keeps"),
            "",
        ),
        "SET SESSION AUTHORIZATION" => (&code::SET_ROLE, format!("{words} changes the role"), ""),
        _ => (
            &code::SESSION_SET,
            format!("{words} without LOCAL changes the session"),
            "outlives the transaction",
        ),
    }
}

/// The first NUL byte: the server would read no further.
fn nul_byte(script: &Script) -> Option<Problem> {
    let at = script.text.find('\0')?;
    let problem = Problem::new(&code::NUL_BYTE, &script.path, "the file holds a NUL byte");
    Some(problem.at(&script.text, at..at + 1, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Vec<String> {
        let (_, problems) = Script::read("a.sql", text);
        let line = |problem: &Problem| {
            let position = problem.position().unwrap();
            format!("{} {position}", problem.code.id)
        };
        problems.iter().map(line).collect()
    }

    #[test]
    fn takes_what_stays_within_the_transaction() {
        for text in [
            "set local work_mem = '1GB'",
            "set constraints all deferred",
            "savepoint a; rollback to savepoint a; release a",
            "create function f() returns int language sql set search_path = '' as 'select 1'",
            "alter role app set search_path = app",
            "do $$ begin execute 'vacuum'; end $$",
            "copy orders from '/srv/orders.csv'",
            "create index on orders (id)",
        ] {
            assert_eq!(refused(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn only_a_marked_script_may_have_what_cannot_run_in_a_transaction() {
        assert_eq!(refused("select 1;\nvacuum orders"), ["F407 2:1"]);
        assert_eq!(
            refused("-- tenantry: no-transaction\nvacuum orders"),
            [""; 0]
        );
    }

    #[test]
    fn tells_everything_in_the_order_of_the_text() {
        let text = "\u{feff}discard all;\ncommit; set role a\n;\n-- tenantry: irreversible\n\0";
        assert_eq!(
            refused(text),
            ["F405 1:1", "F401 2:1", "F406 2:9", "F303 4:1", "F203 5:1"]
        );
    }

    #[test]
    fn the_data_of_a_copy_is_no_sql() {
        assert_eq!(refused("copy a from stdin;\n1\n\\.\n"), ["F408 1:1"]);
        let text = "copy a from stdin;\n1 it's\n\\.\ncopy b to stdout;\n\\copy c from 'c.csv'\n";
        assert_eq!(refused(text), ["F408 1:1", "F408 4:1", "F409 5:1"]);
    }

    #[test]
    fn marks_a_psql_command_within_a_statement() {
        assert_eq!(refused("select 1\n  \\gexec\n;"), ["F409 2:3"]);
    }
}
