//! The header line of a backfill: `-- tenantry: backfill table=users key=id batch=500 rate=5000/s`.

use super::{Pace, Wrong};
use crate::sql::{Ident, Lexer, TokenKind};

/// Larger batches are no faster, and lock their rows for so long that the application notices.
const LARGEST_BATCH: u32 = 100_000;

/// What a backfill's header line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// The byte at which it starts.
    start: usize,
    table: Option<Ident>,
    /// The column by which batches are cut, or `auto`: the primary key.
    key: Option<Ident>,
    batch: Option<u32>,
    rate: Option<u32>,
}

impl Header {
    /// Reads the header of a file's text; an error comes with the byte at which it stands.
    pub(super) fn read(text: &str) -> Result<Self, (usize, Wrong)> {
        let (line, start) = line(text)?;
        let mut words = line
            .split([' ', '\t', ','])
            .filter(|word| !word.is_empty())
            .map(|word| (word, start + word.as_ptr().addr() - line.as_ptr().addr()));
        match words.next() {
            Some(("backfill", _)) => {}
            Some((_, at)) => return Err((at, Wrong::NoHeader)),
            None => return Err((start, Wrong::NoHeader)),
        }
        let mut header = Self {
            start,
            ..Self::default()
        };
        for (word, at) in words {
            header.take(word).map_err(|wrong| (at, wrong))?;
        }
        Ok(header)
    }

    /// The table whose rows are gone over.
    pub(super) fn table(&self) -> Result<Ident, (usize, Wrong)> {
        self.table.clone().ok_or((self.start, Wrong::NoTable))
    }

    /// The key's column; none where it is to be found out.
    pub(super) fn key(&self) -> Option<Ident> {
        self.key.clone().filter(|key| key.as_str() != "auto")
    }

    /// How fast; what the line does not say is as in `defaults`.
    pub(super) fn pace(&self, defaults: Pace) -> Pace {
        Pace {
            batch: self.batch.unwrap_or(defaults.batch),
            rate: self.rate.unwrap_or(defaults.rate),
        }
    }

    fn take(&mut self, word: &str) -> Result<(), Wrong> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let again = match name {
            "table" => self.table.replace(ident(word, value)?).is_some(),
            "key" => self.key.replace(ident(word, value)?).is_some(),
            "batch" => self.batch.replace(batch(word, value)?).is_some(),
            "rate" => self.rate.replace(rate(word, value)?).is_some(),
            _ => return Err(Wrong::Word(word.to_owned())),
        };
        if again {
            return Err(Wrong::Twice(name.to_owned()));
        }
        Ok(())
    }
}

/// What follows `-- tenantry:` before the statement, and the byte at which that starts.
fn line(text: &str) -> Result<(&str, usize), (usize, Wrong)> {
    let mut header = None;
    let mut begun = false;
    for token in Lexer::new(text).map_while(Result::ok) {
        begun |= !token.kind.is_blank() && token.kind != TokenKind::Semicolon;
        let comment = &text[token.span.clone()];
        if token.kind != TokenKind::LineComment {
            continue;
        }
        let words = comment
            .strip_prefix("--")
            .and_then(|rest| rest.trim_start().strip_prefix("tenantry:"));
        let Some(words) = words.map(str::trim_end) else {
            continue;
        };
        let start = token.span.start + words.as_ptr().addr() - comment.as_ptr().addr();
        if begun {
            return Err((token.span.start, Wrong::Late));
        }
        if header.replace((words, start)).is_some() {
            return Err((token.span.start, Wrong::TwoHeaders));
        }
    }
    header.ok_or((0, Wrong::NoHeader))
}

fn ident(word: &str, value: &str) -> Result<Ident, Wrong> {
    Ident::new(value).map_err(|reason| Wrong::Name(word.to_owned(), reason))
}

fn batch(word: &str, value: &str) -> Result<u32, Wrong> {
    let rows = value.parse().ok();
    rows.filter(|rows| (1..=LARGEST_BATCH).contains(rows))
        .ok_or_else(|| Wrong::Batch(word.to_owned()))
}

fn rate(word: &str, value: &str) -> Result<u32, Wrong> {
    let rows = value
        .strip_suffix("/s")
        .and_then(|rows| rows.parse().ok())
        .filter(|rows| *rows > 0);
    rows.ok_or_else(|| Wrong::Rate(word.to_owned()))
}
