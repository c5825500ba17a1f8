//! What the compiler does not check: who uses whom, where SQL is built, how long things are.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

#[path = "architecture/imports.rs"]
mod imports;
#[path = "architecture/sizes.rs"]
mod sizes;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tokens.rs"]
mod tokens;

use std::io::Write;

use source::Source;

/// Every file that turns a text made at run time into SQL. Names get into it through `Ident`, values through
/// `Literal`; users' scripts are sent as they are. Whoever adds a file here has looked at that.
const BUILD_SQL: &[&str] = &[
    "src/apply/alone/catalog.rs",
    "src/apply/group.rs",
    "src/apply/template/singly.rs",
    "src/apply/template.rs",
    "src/backfill/batch.rs",
    "src/postgres/message.rs",
    "src/postgres/session.rs",
    "src/provision/guarded.rs",
    "src/provision/rename.rs",
    "src/provision/retire/drop.rs",
    "src/provision/schema.rs",
    "src/rehearse/copy.rs",
    "src/rehearse/keys.rs",
    "src/rehearse/leftover.rs",
    "src/rehearse/place.rs",
    "src/rehearse/trace.rs",
    "src/rollout/gate.rs",
    "src/verify/arrange.rs",
    "src/verify/builds.rs",
    "src/verify/rows.rs",
    "src/verify/scratch/database.rs",
    "src/verify/seed/mod.rs",
    "src/verify/trial.rs",
    "src/verify/write_down.rs",
];

/// Lines of a file, tests left out, that nothing may exceed.
const FILE_LINES: usize = 400;

/// Lines of a function that nothing may exceed.
const FUNCTION_LINES: usize = 70;

#[test]
fn modules_use_only_those_above_them() {
    let order = imports::order(&Source::read("src/lib.rs"));
    assert!(!order.is_empty());
    let mut wrong = Vec::new();
    for source in Source::all("src") {
        wrong.extend(imports::violations(&order, &source));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn sql_is_built_in_few_places() {
    let found: Vec<_> = Source::all("src")
        .into_iter()
        .filter(|source| {
            source
                .tokens
                .iter()
                .any(|token| ["AssertSqlSafe", "vouched"].contains(&token.text.as_str()))
        })
        .map(|source| source.path)
        .collect();
    assert_eq!(
        found, BUILD_SQL,
        "the list has to name these files, sorted, and no others"
    );
}

#[test]
fn no_query_over_our_tables_is_waited_for_without_an_end() {
    // A server that falls silent answers never; `Answered` has the limit.
    const QUERIES: &[&str] = &[
        "fetch_all",
        "fetch_one",
        "fetch_optional",
        "execute",
        "commit",
    ];
    let mut seen = 0;
    for source in Source::all("src/store") {
        let texts: Vec<_> = source
            .tokens
            .iter()
            .map(|token| token.text.as_str())
            .collect();
        let queries = texts.windows(2).filter(|pair| {
            // The driver's `Connection::begin`, and no function of ours of that name.
            QUERIES.contains(&pair[1]) || (pair[1] == "begin" && pair[0].ends_with(':'))
        });
        let queries = queries.count();
        let answered = texts.iter().filter(|text| **text == "answered").count();
        assert_eq!(
            queries, answered,
            "{}: after each query there has to be `.answered(…)` before `.await`",
            source.path
        );
        seen += queries;
    }
    assert!(seen > 20, "{seen} queries: the files were not found");
}

#[test]
fn nothing_is_too_long() {
    let mut rows: Vec<_> = Source::all("src").iter().map(sizes::Row::of).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.lines));
    // Not `println!`, which the test runner would keep to itself.
    let table = format!("{}\n", sizes::table(&rows));
    std::io::stderr().write_all(table.as_bytes()).unwrap();
    let wrong: Vec<_> = rows
        .iter()
        .flat_map(|row| row.violations(FILE_LINES, FUNCTION_LINES))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
