//! Looking at relations from within a transaction: which locks it holds, where they are stored, what it did to their rows.

use std::collections::BTreeMap;

use sqlx::{FromRow, postgres::types::Oid};

use super::{RehearseError, lock::Mode};
use crate::postgres::{Answered as _, Session};

/// The relations of a schema and those outside it that are locked, by OID.
pub(super) type View = BTreeMap<u32, Seen>;

/// One relation as it is now.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) schema: String,
    pub(super) name: String,
    /// As in `pg_class`.
    pub(super) kind: char,
    /// The file it is in; another one after it was written anew.
    pub(super) file: i64,
    /// The table that it is an index of.
    pub(super) of_table: Option<u32>,
    /// The strongest lock that is held.
    pub(super) mode: Option<Mode>,
    /// How often it was read from its beginning.
    pub(super) scans: i64,
    pub(super) rows_read: i64,
    pub(super) rows_changed: i64,
    /// By the last ANALYZE.
    pub(super) rows: f64,
    /// Whether the transaction has dropped it.
    pub(super) is_gone: bool,
}

#[derive(FromRow)]
struct Row {
    oid: Oid,
    schema: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    filenode: Option<i64>,
    of_table: Option<Oid>,
    modes: Vec<String>,
    scans: Option<i64>,
    rows_read: Option<i64>,
    rows_changed: Option<i64>,
    rows: Option<f64>,
}

/// Looks from within the session's transaction, if there is one; `before` knows what has been dropped since.
pub(super) async fn look(
    session: &mut Session,
    schema_oid: u32,
    before: &View,
) -> Result<View, RehearseError> {
    let rows: Vec<Row> = sqlx::query_as(include_str!("look.sql"))
        .bind(Oid(schema_oid))
        .fetch_all(session.connection())
        .answered(RehearseError::server("look at the locks"))
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| row.seen(before))
        .collect())
}

impl Row {
    fn seen(self, before: &View) -> Option<(u32, Seen)> {
        let modes = self.modes.iter();
        let mode = modes.filter_map(|name| Mode::of_catalog(name)).max();
        let Oid(oid) = self.oid;
        let (Some(schema), Some(name)) = (self.schema, self.name) else {
            // Of what was dropped there is nothing but the lock.
            let known = before.get(&oid)?.clone();
            let gone = Seen {
                mode,
                is_gone: true,
                ..known
            };
            return Some((oid, gone));
        };
        let seen = Seen {
            schema,
            name,
            kind: self
                .kind
                .and_then(|kind| kind.chars().next())
                .unwrap_or(' '),
            file: self.filenode.unwrap_or_default(),
            of_table: self.of_table.map(|Oid(table)| table),
            mode,
            scans: self.scans.unwrap_or_default(),
            rows_read: self.rows_read.unwrap_or_default(),
            rows_changed: self.rows_changed.unwrap_or_default(),
            rows: self.rows.unwrap_or_default(),
            is_gone: false,
        };
        Some((oid, seen))
    }
}

impl Seen {
    /// Whether it has rows of its own.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self.kind, 'r' | 'm')
    }

    /// Whether it is an index, of a partitioned table as well.
    pub(super) fn is_index(&self) -> bool {
        matches!(self.kind, 'i' | 'I')
    }
}
