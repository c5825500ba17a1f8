//! What a backfill does: one file, one statement, gone over a table in batches. Reads text, and talks to nobody.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::header::Header;
use crate::{
    migration::Checksum,
    sql::{Ident, InvalidIdent, Lexer, Position, Token, TokenKind, Unterminated, kind, split},
};

/// What a backfill does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name, which is its file's.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The table whose rows are gone over.
    pub table: Ident,
    /// The column by which batches are cut; none: the primary key.
    pub key: Option<Ident>,
    /// How fast.
    pub pace: Pace,
    /// The hash of what it does to which rows. The pace is no part of it: that may change on the way.
    pub checksum: Checksum,
    /// The file's text.
    pub text: String,
    /// The statement's bytes in the text.
    pub statement: Range<usize>,
    /// Where the text has `{batch}`, in order.
    pub(super) places: Vec<Range<usize>>,
}

/// How fast a backfill goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Rows in a batch, from 1 to 100,000.
    pub batch: u32,
    /// Rows a second, of all tenants together.
    pub rate: u32,
}

/// Why a file is no backfill, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{position}: {wrong}", path.display())]
pub struct DefinitionError {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub position: Position,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with the file of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Nothing says that it is a backfill.
    #[error("a backfill begins with a line such as `-- tenantry: backfill table=users`")]
    NoHeader,
    /// Several lines do.
    #[error("there is a header line already; a backfill has one")]
    TwoHeaders,
    /// The line stands too late.
    #[error("the header line stands after the statement's beginning; put it first")]
    Late,
    /// Nobody knows the word.
    #[error("`{0}` says nothing of a backfill; there are table=, key=, batch= and rate=")]
    Word(String),
    /// A word is there twice.
    #[error("`{0}=` is given twice")]
    Twice(String),
    /// No table.
    #[error("the header names no table: add table=NAME")]
    NoTable,
    /// No name.
    #[error("`{0}` names nothing: {1}")]
    Name(String, InvalidIdent),
    /// No size of a batch.
    #[error(
        "`{0}` is no size of a batch: write a number of rows from 1 to 100000, such as batch=500"
    )]
    Batch(String),
    /// No rate.
    #[error("`{0}` is no rate: write rows a second, such as rate=5000/s")]
    Rate(String),
    /// Something is never closed.
    #[error(transparent)]
    Unterminated(Unterminated),
    /// The server would read no further.
    #[error("the file holds a NUL byte")]
    Nul,
    /// No statement.
    #[error("there is no statement after the header")]
    Nothing,
    /// More than one.
    #[error("a backfill is one statement, and this is a second one")]
    Second,
    /// Nothing that can be done in batches.
    #[error("a backfill is an UPDATE, DELETE, INSERT, MERGE, WITH or SELECT; this begins with {0}")]
    Kind(String),
    /// It leaves its schema or transaction.
    #[error("{0} would leave the schema, the role or the transaction of the batch")]
    Leaves(&'static str),
    /// It does not say which rows.
    #[error(
        "the statement has no {{batch}}: put it where the condition on the rows of one batch belongs, such as \
         `where {{batch}}`"
    )]
    NoPlace,
}

impl Definition {
    /// Reads the text of a backfill's file. What its header does not say is as in `defaults`.
    pub fn parse(
        name: &str,
        path: &Path,
        text: String,
        defaults: Pace,
    ) -> Result<Self, DefinitionError> {
        let failed = |(at, wrong)| DefinitionError {
            path: path.to_owned(),
            position: Position::of(&text, at),
            wrong,
        };
        let header = Header::read(&text).map_err(failed)?;
        let table = header.table().map_err(failed)?;
        let statement = statement(&text).map_err(failed)?;
        let places = places(&text[statement.clone()], statement.start);
        if places.is_empty() {
            return Err(failed((statement.start, Wrong::NoPlace)));
        }
        let key = header.key();
        let column = key.as_ref().map_or("", Ident::as_str);
        let checksum = Checksum::of(&format!("{table}\n{column}\n{}", &text[statement.clone()]));
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            table,
            key,
            pace: header.pace(defaults),
            checksum,
            statement,
            places,
            text,
        })
    }
}

/// The one statement of a text.
fn statement(text: &str) -> Result<Range<usize>, (usize, Wrong)> {
    if let Some(at) = text.find('\0') {
        return Err((at, Wrong::Nul));
    }
    let statements = split(text).map_err(|open| (open.offset, Wrong::Unterminated(open)))?;
    let span = match statements.as_slice() {
        [] => return Err((text.len(), Wrong::Nothing)),
        [one] => one.span.clone(),
        [_, second, ..] => return Err((second.span.start, Wrong::Second)),
    };
    let sql = &text[span.clone()];
    let first: String = sql.chars().take_while(|c| c.is_alphanumeric()).collect();
    let known = ["UPDATE", "DELETE", "INSERT", "MERGE", "WITH", "SELECT"];
    if !known.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        let first = sql.split_whitespace().next().unwrap_or_default();
        return Err((span.start, Wrong::Kind(first.to_owned())));
    }
    if let Some(words) = kind(sql).words() {
        return Err((span.start, Wrong::Leaves(words)));
    }
    Ok(span)
}

/// Where a statement has `{batch}`, outside of strings and comments.
fn places(sql: &str, start: usize) -> Vec<Range<usize>> {
    let tokens: Vec<_> = Lexer::new(sql).map_while(Result::ok).collect();
    let is_place = |three: &&[Token]| {
        three[1].kind == TokenKind::Word
            && sql[three[0].span.start..three[2].span.end] == *"{batch}"
    };
    tokens
        .windows(3)
        .filter(is_place)
        .map(|three| start + three[0].span.start..start + three[2].span.end)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Pace = Pace {
        batch: 500,
        rate: 5000,
    };

    fn parse(text: &str) -> Result<Definition, String> {
        Definition::parse("b", Path::new("b.sql"), text.to_owned(), DEFAULTS)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_header_and_places() {
        let text = "-- why\n-- tenantry: backfill table=Users, key=id batch=20 rate=7/s\n\
                    update users set v = '{batch}' where {batch} /* {batch} */ and ({batch});";
        let definition = parse(text).unwrap();
        assert_eq!(definition.table.as_str(), "Users");
        assert_eq!(definition.key.unwrap().as_str(), "id");
        assert_eq!(definition.pace, Pace { batch: 20, rate: 7 });
        assert_eq!(definition.places.len(), 2);
        assert_eq!(&text[definition.places[1].clone()], "{batch}");
    }

    #[test]
    fn a_pace_is_no_part_of_what_it_does() {
        let update = "update t set a = 1 where {batch}";
        let of = |header: &str| {
            let definition = parse(&format!("-- tenantry: backfill {header}\n{update}")).unwrap();
            (definition.checksum, definition.pace, definition.key)
        };
        let (plain, pace, key) = of("table=t");
        assert_eq!((pace, key), (DEFAULTS, None));
        assert_eq!(of("table=t batch=7 rate=1/s key=auto").0, plain);
        assert_ne!(of("table=u").0, plain);
        assert_ne!(of("table=t key=id").0, plain);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let whole = |header: &str| {
            format!("-- tenantry: backfill {header}\nupdate t set a = 1 where {{batch}}")
        };
        for (text, message) in [
            (
                "update t set a = 1".to_owned(),
                "1:1: a backfill begins with a line such as `-- tenantry: backfill table=users`",
            ),
            (
                "-- tenantry: irreversible\nupdate t".to_owned(),
                "1:14: a backfill begins with a line such as `-- tenantry: backfill table=users`",
            ),
            (
                whole("table=t\n-- tenantry: backfill table=u"),
                "2:1: there is a header line already; a backfill has one",
            ),
            (
                "update t -- tenantry: backfill table=t".to_owned(),
                "1:10: the header line stands after the statement's beginning; put it first",
            ),
            (
                whole("table=t speed=9"),
                "1:31: `speed=9` says nothing of a backfill; there are table=, key=, batch= and rate=",
            ),
            (whole("table=t table=u"), "1:31: `table=` is given twice"),
            (
                whole("batch=5"),
                "1:13: the header names no table: add table=NAME",
            ),
            (
                whole("table="),
                "1:23: `table=` names nothing: a name cannot be empty",
            ),
            (
                whole("table=t batch=0"),
                "1:31: `batch=0` is no size of a batch: write a number of rows from 1 to 100000, such as batch=500",
            ),
            (
                whole("table=t batch=100001"),
                "1:31: `batch=100001` is no size of a batch: write a number of rows from 1 to 100000, such as batch=500",
            ),
            (
                whole("table=t rate=5000"),
                "1:31: `rate=5000` is no rate: write rows a second, such as rate=5000/s",
            ),
            (
                whole("table=t rate=0/s"),
                "1:31: `rate=0/s` is no rate: write rows a second, such as rate=5000/s",
            ),
            (
                "-- tenantry: backfill table=t\n;\n".to_owned(),
                "3:1: there is no statement after the header",
            ),
            (
                whole("table=t") + "; select 1",
                "2:35: a backfill is one statement, and this is a second one",
            ),
            (
                "-- tenantry: backfill table=t\nvacuum t".to_owned(),
                "2:1: a backfill is an UPDATE, DELETE, INSERT, MERGE, WITH or SELECT; this begins with vacuum",
            ),
            (
                "-- tenantry: backfill table=t\nselect set_config('search_path', 'x', true) where {batch}".to_owned(),
                "2:1: set_config('search_path', …) would leave the schema, the role or the transaction of the batch",
            ),
            (
                "-- tenantry: backfill table=t\nupdate t set a = 1".to_owned(),
                "2:1: the statement has no {batch}: put it where the condition on the rows of one batch belongs, such as `where {batch}`",
            ),
            (
                "-- tenantry: backfill table=t\nupdate t set a = 'x where {batch}".to_owned(),
                "2:18: a string is never closed",
            ),
            (
                whole("table=t") + " and '\0'",
                "2:39: the file holds a NUL byte",
            ),
        ] {
            assert_eq!(
                parse(&text).unwrap_err(),
                format!("b.sql:{message}"),
                "{text}"
            );
        }
    }
}
