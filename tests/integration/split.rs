//! Scripts cut into statements: hand-written cases, invented texts, and what other parsers say.

use std::fs;
use std::future::ready;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection, SqlSafeStr};
use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxKind, SyntaxNode};
use tenantry::sql::{self, Kind, Lexer, Statement, TokenKind};

use crate::support::database;

/// A case by its name, its script and what is expected.
type Case = (String, String, Value);

#[test]
fn every_case_splits_as_its_author_says() {
    for (name, script, expected) in cases() {
        let found = match sql::split(&script) {
            Ok(statements) => {
                assert_gaps_are_blank(&script, &statements);
                json!(texts(&script, &statements))
            }
            Err(open) => json!({"what": open.what, "offset": open.offset}),
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn squawk_finds_the_same_statements() {
    let compared = cases()
        .iter()
        .filter(|(name, script, _)| squawk_agrees(name, script))
        .count();
    assert!(compared > 20, "squawk read only {compared}");
}

/// Each statement alone must be one statement for PostgreSQL too: it refuses to prepare two at once.
#[tokio::test]
async fn postgresql_takes_each_statement_for_one() {
    let mut server = database().await.connect().await;
    let two = syntax_error(&mut server, "select 1; select 2").await;
    assert!(two.unwrap().contains("multiple commands"));
    for (name, script, _) in cases() {
        for statement in sql::split(&script).unwrap_or_default() {
            let refused = syntax_error(&mut server, &script[statement.span]).await;
            let several = refused.is_some_and(|error| error.contains("multiple commands"));
            assert!(!several, "{name}");
        }
    }
}

/// Expressions that PostgreSQL takes, and a wrong lexer does not.
const EXPRESSIONS: &[&str] = &[
    "'a;b'",
    "'it''s; $$'",
    "E'\\';'",
    "E'a\\''\n 'b\\';c'",
    "E'a' -- ;\n'\\';'",
    "'a\\'",
    "U&'\\0061;'",
    "B'1'",
    "1 as \"x;\"\"y\"",
    "$$ ; ' $x$ $$",
    "$t$ ; $$ $a$ ; $t$",
    "$é$;$é$",
    "$x$ $y$ ; $$x$",
    "2*/* ; /* ' */ ; */3",
    "1 - -- ;\n - 1",
    "(((1)))",
    "1.5e-3",
    ".5",
    "1.",
    "case when true then case 1 when 1 then 2 end end",
    "1 as end",
    "1 as \u{A0}",
    "1 as a$$b",
    "1 as été",
    "'x'::text",
    "4%/**/3",
    "-+-1",
    "1<-1",
    "(array[1,2])[1]",
    "1 as begin",
    "N'n;'",
    "'a' /* ; */ || 'b'",
];

#[tokio::test]
async fn postgresql_runs_as_many_statements_as_were_split() {
    let mut server = database().await.connect().await;
    let list = prop::collection::vec(prop::sample::select(EXPRESSIONS), 1..6);
    let end = prop::sample::select(&[";", ";;", "\n;\r", "; -- ;\n", "/* ; */;", ";/**/"][..]);
    let script = prop::collection::vec((list, end), 0..8);
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let parts = script.new_tree(&mut runner).unwrap().current();
        let script: String = parts
            .iter()
            .map(|(list, end)| format!("select {}{end}", list.join(", ")))
            .collect();
        let results = sqlx::raw_sql(AssertSqlSafe(script.as_str())).fetch_many(&mut server);
        let ran = results
            .try_filter(|result| ready(result.is_left()))
            .try_fold(0, async |count, _| Ok(count + 1))
            .await;
        let found = sql::split(&script).unwrap().len();
        assert_eq!(found, ran.unwrap(), "{script:?}");
    }
}

/// What PostgreSQL's parser has against the statement. It is only prepared, never run.
pub(crate) async fn syntax_error(server: &mut PgConnection, statement: &str) -> Option<String> {
    let text = AssertSqlSafe(statement).into_sql_str();
    let error = server.prepare(text).await.err()?;
    let refused = error.as_database_error().unwrap();
    (refused.code().as_deref() == Some("42601")).then(|| refused.message().to_owned())
}

/// Whether squawk could read the script; if so, it must see the same statements.
pub(crate) fn squawk_agrees(name: &str, script: &str) -> bool {
    let parse = SourceFile::parse(script);
    if !parse.errors().is_empty() {
        return false;
    }
    let statements = parse.tree().stmts();
    let theirs: Vec<&str> = statements
        .filter_map(|statement| Some(&script[real_tokens(statement.syntax())?]))
        .collect();
    let ours = sql::split(script).unwrap();
    assert_eq!(texts(script, &ours), theirs, "{name}");
    true
}

/// The bytes from a node's first token to its last, without the terminator; none for an empty statement.
fn real_tokens(node: &SyntaxNode) -> Option<Range<usize>> {
    let tokens = node
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT));
    let mut tokens: Vec<_> = tokens.collect();
    tokens.pop_if(|last| last.kind() == SyntaxKind::SEMICOLON);
    let (first, last) = (tokens.first()?, tokens.last()?);
    Some(first.text_range().start().into()..last.text_range().end().into())
}

/// Pieces of statements that a wrong lexer would stumble over; none holds an end of a statement.
const PIECES: &[&str] = &[
    "'a;b'",
    "'it''s; $$'",
    "E'\\';'",
    "U&'\\0061;'",
    "\"x;\"\"y\"",
    "$$ ; ' $x$ $$",
    "$t$ ; $$ ; $t$",
    "/* ; /* ' */ ; */",
    "-- ; ' $$ \"\n",
    "(a; b)",
    "a$$b",
    "$1",
    "1.5e-3",
    "->>",
    "+",
    "été\u{A0}",
    "CASE",
    "END",
    "begin",
    "::int[]",
    "\r\n",
    "\t",
    "x",
    ",",
];

fn statement() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..8)
        .prop_map(|pieces| format!("select {} z", pieces.join(" ")))
}

fn terminator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            ";",
            ";;",
            " ;\n",
            "; -- ;\n",
            "\n--;;\n",
            ";\n  --;; x\n",
            "/* ; */;",
        ][..],
    )
}

proptest! {
    #[test]
    fn statements_put_in_come_out(parts in prop::collection::vec((statement(), terminator()), 0..6)) {
        let script: String = parts.iter().map(|(text, end)| format!("{text}{end}")).collect();
        let found = sql::split(&script).unwrap();
        let put_in: Vec<&str> = parts.iter().map(|(text, _)| text.as_str()).collect();
        prop_assert_eq!(texts(&script, &found), put_in);
    }

    #[test]
    fn any_text_is_rebuilt_from_statements_and_gaps(script in any::<String>()) {
        rebuilds(&script);
    }

    #[test]
    fn any_heap_of_tokens_is_rebuilt(pieces in prop::collection::vec(prop::sample::select(SHARDS), 0..30)) {
        rebuilds(&pieces.concat());
    }
}

/// Characters and words from which most of the syntax can be built, rightly or wrongly.
const SHARDS: &[&str] = &[
    "'",
    "\"",
    "$",
    "$$",
    "$a$",
    "$1",
    "E'",
    "U&'",
    "u&",
    "e",
    "\\",
    "\\.",
    "\n",
    "\r",
    " ",
    ";",
    "--",
    "--;;",
    "/*",
    "*/",
    "/",
    "*",
    "(",
    ")",
    "[",
    ".",
    "0x",
    "1e",
    "1",
    "_",
    "+",
    "é",
    "\u{A0}",
    "\u{FEFF}",
    "create function ",
    "begin atomic ",
    "case ",
    " end",
    " as ",
    "copy t from stdin",
];

/// Splitting never panics, loses nothing, and what it cuts out stays one statement.
fn rebuilds(script: &str) {
    let mut at = 0;
    for token in Lexer::new(script).map_while(Result::ok) {
        assert_eq!(token.span.start, at, "{script:?}");
        assert!(token.span.end > at, "{script:?}");
        at = token.span.end;
    }
    let Ok(statements) = sql::split(script) else {
        return;
    };
    assert_gaps_are_blank(script, &statements);
    for text in texts(script, &statements) {
        // A mark inside a text is a letter, as for the server; standing alone the statement begins with it.
        let marked = text.starts_with('\u{FEFF}');
        if !marked && !matches!(sql::kind(text), Kind::Copy(_) | Kind::MetaCommand) {
            assert_eq!(sql::split(text).map(|found| found.len()), Ok(1), "{text:?}");
        }
    }
}

#[test]
fn long_and_deep_texts_take_linear_time() {
    let deep = 100_000;
    let texts = [
        "insert into t values ('a;b', $$c$$, 1.5e3); -- end;\n".repeat(27_000),
        format!("select {}1{};", "(".repeat(deep), ")".repeat(deep)),
        format!("{}{} select 1;", "/*".repeat(deep), "*/".repeat(deep)),
        format!("select 1 {};", "+/**/".repeat(deep)),
        format!("select {};", "-+".repeat(deep)),
        "copy t from stdin;\n".repeat(deep),
        format!("select {};", "$a1".repeat(deep)),
        format!("select {};", "'a'\n".repeat(deep)),
        "create function f() begin atomic select case 1 end; end;".repeat(20_000),
    ];
    for text in texts {
        let started = Instant::now();
        let statements = sql::split(&text).unwrap();
        assert!(!statements.is_empty());
        for statement in statements {
            sql::kind(&text[statement.span]);
        }
        // Quadratic time would be minutes here.
        let took = started.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{:?}… took {took:?}",
            &text[..20]
        );
    }
}

/// What stands around the statements is nothing that a server would run.
pub(crate) fn assert_gaps_are_blank(script: &str, statements: &[Statement]) {
    let gaps = gaps(script, statements);
    for gap in &gaps {
        for token in Lexer::new(gap) {
            let kind = token.unwrap().kind;
            assert!(
                kind.is_blank() || kind == TokenKind::Semicolon,
                "{kind:?} is lost between statements of {script:?}"
            );
        }
    }
    let mut rebuilt = gaps[0].to_owned();
    for (text, gap) in texts(script, statements).iter().zip(&gaps[1..]) {
        rebuilt.push_str(text);
        rebuilt.push_str(gap);
    }
    assert_eq!(rebuilt, script);
}

/// What stands before, between and behind the statements.
fn gaps<'a>(script: &'a str, statements: &[Statement]) -> Vec<&'a str> {
    let starts = statements.iter().map(|statement| statement.span.start);
    let ends = statements.iter().map(|statement| statement.span.end);
    std::iter::once(0)
        .chain(ends)
        .zip(starts.chain(std::iter::once(script.len())))
        .map(|(end, start)| &script[end..start])
        .collect()
}

fn texts<'a>(script: &'a str, statements: &[Statement]) -> Vec<&'a str> {
    let spans = statements.iter().map(|statement| statement.span.clone());
    spans.map(|span| &script[span]).collect()
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/split");
    let mut cases: Vec<Case> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let read = |file: &str| fs::read_to_string(path.join(file)).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let expected = serde_json::from_str(&read("statements.json")).unwrap();
            (name, read("script.sql"), expected)
        })
        .collect();
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(cases.len() > 30, "only {} cases", cases.len());
    cases
}
