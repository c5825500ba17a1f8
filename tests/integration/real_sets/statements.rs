//! Migrations that others wrote, split as PostgreSQL's own parser split them.
//!
//! `tests/fixtures/real-sets/statements.csv` holds the counts; they are empty where PostgreSQL finds a syntax error.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tenantry::sql::{self, Kind};

use super::corpus::{folder as corpora, folder_of};
use crate::support::database;

const COUNTS: &str = include_str!("../../fixtures/real-sets/statements.csv");

/// The scripts of one set by (migration, direction).
type Scripts = BTreeMap<(String, &'static str), String>;

#[test]
fn every_script_splits_into_the_statements_that_postgresql_sees() {
    let Some(corpora) = corpora() else { return };
    let (mut all, mut wrong) = (0, Vec::new());
    for set in set_names() {
        if let Some(counted) = count(&corpora, set) {
            all += counted.scripts;
            wrong.extend(counted.wrong);
        }
    }
    assert!(all > 0, "no set of the list is in {corpora:?}");
    let (count, lines) = (wrong.len(), wrong.join("\n"));
    assert!(wrong.is_empty(), "{count} of {all}:\n{lines}");
    eprintln!("compared {all} scripts");
}

/// How many scripts of a set were split, and those that PostgreSQL splits otherwise.
pub(crate) struct Counted {
    pub(crate) scripts: usize,
    pub(crate) wrong: Vec<String>,
}

/// Splits the scripts of a set whose statements PostgreSQL's own parser could count.
pub(crate) fn count(corpora: &Path, set: &str) -> Option<Counted> {
    let scripts = read_set(corpora, set)?;
    let mut counted = Counted {
        scripts: 0,
        wrong: Vec::new(),
    };
    for row in COUNTS.lines().skip(1) {
        let [of, migration, direction, count] = fields(row);
        if of != set || count.is_empty() {
            continue;
        }
        let script = scripts
            .iter()
            .find(|((name, way), _)| name == migration && *way == direction);
        let found = script.map(|(_, text)| sql::split(text).map(|found| found.len()));
        counted.scripts += 1;
        if found != Some(Ok(count.parse().unwrap())) {
            counted.wrong.push(format!("{row}: {found:?}"));
        }
    }
    Some(counted)
}

#[test]
fn every_script_is_rebuilt_from_its_statements_and_the_gaps() {
    let Some(corpora) = corpora() else { return };
    for set in set_names() {
        for ((migration, direction), text) in read_set(&corpora, set).unwrap_or_default() {
            let statements = sql::split(&text).unwrap();
            crate::split::assert_gaps_are_blank(&text, &statements);
            for statement in statements {
                let kind = sql::kind(&text[statement.span]);
                assert_ne!(kind, Kind::MetaCommand, "{set} {migration} {direction}");
            }
        }
    }
}

#[test]
fn squawk_finds_the_same_statements_in_every_script_it_can_read() {
    let Some(corpora) = corpora() else { return };
    let (mut all, mut agreed) = (0, 0);
    for set in set_names() {
        for ((migration, direction), text) in read_set(&corpora, set).unwrap_or_default() {
            all += 1;
            let name = format!("{set} {migration} {direction}");
            agreed += usize::from(crate::split::squawk_agrees(&name, &text));
        }
    }
    eprintln!("squawk read {agreed} of {all} scripts");
}

#[tokio::test]
async fn postgresql_finds_no_syntax_error_in_any_statement() {
    let Some(corpora) = corpora() else { return };
    let mut server = database().await.connect().await;
    for set in set_names() {
        for ((migration, direction), text) in read_set(&corpora, set).unwrap_or_default() {
            let counted = COUNTS.lines().map(fields).any(|[of, name, way, count]| {
                of == set && name == migration && way == direction && !count.is_empty()
            });
            for statement in sql::split(&text).unwrap() {
                let text = &text[statement.span];
                let refused = crate::split::syntax_error(&mut server, text).await;
                assert!(
                    refused.is_none() || !counted,
                    "{refused:?} in {set} {migration} {direction}: {text}"
                );
            }
        }
    }
}

fn set_names() -> BTreeSet<&'static str> {
    let rows = COUNTS.lines().skip(1);
    rows.map(|row| fields(row)[0]).collect()
}

fn fields(row: &str) -> [&str; 4] {
    row.split(',').collect::<Vec<_>>().try_into().unwrap()
}

/// The set's scripts; none, with a word about it, where the folder is not there.
fn read_set(corpora: &Path, set: &str) -> Option<Scripts> {
    let folder = folder_of(corpora, set)?;
    let mut scripts = Scripts::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sql") {
                scripts.extend(read_file(&path));
            }
        }
    }
    Some(scripts)
}

/// The scripts in one file: `name/up.sql`, `name.up.sql`, or both directions in `name.sql`.
fn read_file(path: &Path) -> Scripts {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (file, text) = (name(path), fs::read_to_string(path).unwrap());
    for direction in ["up", "down"] {
        if file == format!("{direction}.sql") {
            let migration = name(path.parent().unwrap());
            return Scripts::from([((migration, direction), text)]);
        }
        if let Some(migration) = file.strip_suffix(&format!(".{direction}.sql")) {
            return Scripts::from([((migration.to_owned(), direction), text)]);
        }
    }
    sections(&file, &text)
}

/// The sections of a file with both directions, as dbmate and Play mark them.
fn sections(file: &str, text: &str) -> Scripts {
    let mut scripts = Scripts::new();
    let mut direction = None;
    for line in text.split_inclusive('\n') {
        let mark = line.trim().trim_start_matches(['-', '#', ' ']);
        let (begins, line) = match mark {
            "migrate:up" | "!Ups" => (Some("up"), ""),
            "migrate:down" | "!Downs" => (Some("down"), ""),
            _ => (direction, line),
        };
        direction = begins;
        if let Some(direction) = direction {
            let key = (file.to_owned(), direction);
            scripts.entry(key).or_default().push_str(line);
        }
    }
    scripts
}
