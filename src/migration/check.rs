//! What cannot be carried: the statements of a script that are refused, and why.
//!
//! Only what would break a promise stands here; what is merely unwise is for `lint` to say.

use super::{Code, Problem, Script, code};
use crate::sql::{Kind, Statement, kind};

/// What is wrong with the statements of a script.
pub(super) fn problems(script: &Script) -> Vec<Problem> {
    let refused = script.statements.iter().filter_map(|s| refuse(script, s));
    refused.chain(nul_byte(script)).collect()
}

fn refuse(script: &Script, statement: &Statement) -> Option<Problem> {
    let (code, what, label): (&Code, String, &str) = match kind(script.statement(statement)) {
        Kind::TransactionControl(words) => (
            &code::TRANSACTION_CONTROL,
            control(words, script.directives.no_transaction),
            "",
        ),
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
        Kind::MetaCommand => (
            &code::PSQL_COMMAND,
            "the line is a command of psql".to_owned(),
            "begins with a backslash",
        ),
        _ => return None,
    };
    let problem = Problem::new(code, &script.path, what);
    Some(problem.at(&script.text, statement.span.clone(), label))
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
