//! What a statement leaves that depends on where or when it is run, told by its words alone.
//!
//! What is named here may be harmless. Nothing may be passed over that could differ from one database, or one day, to another.

use super::beyond::beyond_structure;
use super::lex::Lexer;
use super::token::TokenKind;

/// A word or a string with what kind it is, blanks left out.
type Piece<'a> = (TokenKind, &'a str);

/// The words by which a statement changes who may do what, also within a block that it runs. None where it does not.
pub fn grants(statement: &str) -> Option<&'static str> {
    let pieces = pieces(statement);
    let first: Vec<_> = pieces.iter().take(2).map(|p| p.1).collect();
    let is = |at: usize, word: &str| first.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    if is(0, "GRANT") {
        return Some("GRANT");
    }
    if is(0, "REVOKE") {
        return Some("REVOKE");
    }
    if is(0, "ALTER") && is(1, "DEFAULT") {
        return Some("ALTER DEFAULT PRIVILEGES");
    }
    if is(0, "DROP") && is(1, "OWNED") {
        return Some("DROP OWNED");
    }
    // What a function has in it is not run by making it.
    beyond_structure(statement)?;
    let has_word = |verb: &str| {
        let words = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
        words
            .into_iter()
            .any(|word| word.eq_ignore_ascii_case(verb))
    };
    let verbs = [
        ("GRANT", "a block with GRANT"),
        ("REVOKE", "a block with REVOKE"),
    ];
    let found = verbs.into_iter().find(|(verb, _)| has_word(verb));
    found.map(|(_, words)| words)
}

/// The words that can have functions, triggers or rules run, though all tables are empty. None where it changes structure only.
pub fn runs_code(statement: &str) -> Option<String> {
    let pieces = pieces(statement);
    let words: Vec<String> = pieces.iter().map(|p| p.1.to_ascii_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [
            verb @ ("UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "REFRESH"),
            ..,
        ] => Some((*verb).to_owned()),
        ["CREATE", "MATERIALIZED", "VIEW", ..] => Some("CREATE MATERIALIZED VIEW".to_owned()),
        ["ALTER", ..] if words.contains(&"ADD") => {
            let at = words.iter().position(|word| *word == "DEFAULT")?;
            calls(&pieces[at..], &WITHOUT_EFFECT).then(|| "a function in DEFAULT".to_owned())
        }
        _ => None,
    }
}

/// The words whose value a structure may hold as it was when the statement ran. None where there are none.
pub fn frozen(statement: &str) -> Option<String> {
    let pieces = pieces(statement);
    let first = pieces.first()?.1;
    if !["CREATE", "ALTER"]
        .iter()
        .any(|verb| first.eq_ignore_ascii_case(verb))
    {
        return None;
    }
    let strings = pieces.iter().filter(|(kind, _)| *kind == TokenKind::String);
    if let Some((_, text)) = strings.into_iter().find(|(_, text)| is_moment(text)) {
        return Some(format!("the string {text}"));
    }
    let word = |at: usize, word: &str| pieces[at].1.eq_ignore_ascii_case(word);
    let bounds = (1..pieces.len()).find(|at| word(at - 1, "FOR") && word(*at, "VALUES"))?;
    let bounds = &pieces[bounds..];
    let is_function = calls(bounds, &OF_BOUNDS) || bounds.iter().any(|(_, word)| is_of_now(word));
    is_function.then(|| "a function in FOR VALUES".to_owned())
}

/// What may stand before a parenthesis after `DEFAULT`: functions that change nothing, or are not run for no rows; types; and what
/// else a column has.
const WITHOUT_EFFECT: [&str; 22] = [
    "NOW",
    "CLOCK_TIMESTAMP",
    "GEN_RANDOM_UUID",
    "NEXTVAL",
    "CHECK",
    "REFERENCES",
    "KEY",
    "UNIQUE",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "DEFAULT",
    "ARRAY",
    "VARCHAR",
    "VARYING",
    "CHAR",
    "CHARACTER",
    "NUMERIC",
    "DECIMAL",
    "TIMESTAMP",
];

/// What stands before a parenthesis in the bounds of a partition, and after them.
const OF_BOUNDS: [&str; 10] = [
    "VALUES", "FROM", "TO", "IN", "WITH", "RANGE", "LIST", "HASH", "BY", "USING",
];

/// Whether a name stands before a parenthesis that is none of `others`.
fn calls(pieces: &[Piece<'_>], others: &[&str]) -> bool {
    pieces.windows(2).any(|pair| {
        let ((kind, name), (next, _)) = (pair[0], pair[1]);
        let is_other = others.iter().any(|other| name.eq_ignore_ascii_case(other));
        let is_name = kind == TokenKind::QuotedName || kind == TokenKind::Word && !is_other;
        is_name && next == TokenKind::Open
    })
}

/// Functions that are called without parentheses.
fn is_of_now(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    word.starts_with("CURRENT_") || word.starts_with("LOCALTIME") || word.ends_with("USER")
}

/// Whether a string names a moment that is another one tomorrow, alone or with a time of day.
fn is_moment(string: &str) -> bool {
    let text = string.split_once('\'').map_or("", |(_, text)| text);
    let words: Vec<_> = text.trim_end_matches('\'').split_whitespace().collect();
    let moments = ["now", "today", "tomorrow", "yesterday"];
    let is_moment = |word: &&str| moments.iter().any(|m| word.eq_ignore_ascii_case(m));
    words.len() <= 3 && words.iter().any(is_moment)
}

fn pieces(statement: &str) -> Vec<Piece<'_>> {
    Lexer::new(statement)
        .map_while(Result::ok)
        .filter(|token| !token.kind.is_blank())
        .map(|token| (token.kind, &statement[token.span]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_seen_in_blocks_too() {
        for (statement, words) in [
            ("/* x */ revoke all on t from anon", Some("REVOKE")),
            ("grant select on t to app", Some("GRANT")),
            (
                "alter default privileges revoke all on tables from app",
                Some("ALTER DEFAULT PRIVILEGES"),
            ),
            (
                "do $$ begin execute 'Revoke all on t from app'; end $$",
                Some("a block with REVOKE"),
            ),
            ("do $$ begin end $$", None),
            ("create table grants (\"grant\" int)", None),
            (
                "create function f() returns void language sql as 'grant a to b'",
                None,
            ),
        ] {
            assert_eq!(grants(statement), words, "{statement}");
        }
    }

    #[test]
    fn code_that_runs_without_rows_is_told() {
        for (statement, words) in [
            ("update u set id = 1", Some("UPDATE")),
            ("delete from u", Some("DELETE")),
            ("truncate u", Some("TRUNCATE")),
            ("refresh materialized view v", Some("REFRESH")),
            (
                "create materialized view v as select f()",
                Some("CREATE MATERIALIZED VIEW"),
            ),
            (
                "alter table t add a int default reg()",
                Some("a function in DEFAULT"),
            ),
            (
                "alter table t add a int default \"Reg\"()",
                Some("a function in DEFAULT"),
            ),
            (
                "alter table t add a timestamptz default now() check (a > 'x')",
                None,
            ),
            ("alter table t add a int", None),
            ("create table t (a int default reg())", None),
        ] {
            assert_eq!(runs_code(statement).as_deref(), words, "{statement}");
        }
    }

    #[test]
    fn what_is_worked_out_once_is_told() {
        for (statement, words) in [
            (
                "create table t (at timestamptz default 'NOW')",
                Some("the string 'NOW'"),
            ),
            (
                "alter table t alter at set default E' tomorrow 10:00'::timestamp",
                Some("the string E' tomorrow 10:00'"),
            ),
            (
                "create table p partition of t for values from (now()) to ('2030-01-01')",
                Some("a function in FOR VALUES"),
            ),
            (
                "alter table t attach partition p for values in (current_date)",
                Some("a function in FOR VALUES"),
            ),
            (
                "create table p partition of t for values from (pg_catalog.now()) to (maxvalue)",
                Some("a function in FOR VALUES"),
            ),
            (
                "create table p partition of t for values from ('2029-01-01') to (maxvalue) partition by range (at)",
                None,
            ),
            (
                "create table p partition of t for values with (modulus 2, remainder 0) with (fillfactor = 70)",
                None,
            ),
            (
                "create table t (at timestamptz default now(), d date default current_date)",
                None,
            ),
            (
                "create table t (a text default 'what is known of it today')",
                None,
            ),
            ("comment on table t is 'now'", None),
        ] {
            assert_eq!(frozen(statement).as_deref(), words, "{statement}");
        }
    }
}
