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
    "src/apply/template.rs",
    "src/backfill/batch.rs",
    "src/postgres/message.rs",
    "src/postgres/session.rs",
    "src/provision/retire.rs",
    "src/provision/schema.rs",
    "src/verify/scratch/database.rs",
    "src/verify/trial.rs",
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
