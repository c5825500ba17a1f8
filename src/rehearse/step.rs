//! What a statement did, told by two looks between which it ran.

use std::time::Duration;

use super::{
    Blocks, Built, Changed, Copied, Lock, Mode, Partial, Rewritten, Scanned, Traced,
    look::{Seen, View},
    scale::scaled,
};
use crate::{
    apply::Place,
    sql::{Kind, kind},
};

/// Two looks, between which a statement ran.
pub(super) struct Step<'a> {
    pub(super) schema: &'a str,
    /// What was there before the transaction.
    pub(super) known: &'a View,
    pub(super) before: &'a View,
    pub(super) after: &'a View,
    pub(super) copied: &'a Copied,
    pub(super) in_transaction: bool,
}

impl Step<'_> {
    pub(super) fn traced(&self, place: Place, elapsed: Duration) -> Traced {
        let (mut built, mut rewritten) = (self.built(), self.rewritten());
        let mut emptied = Vec::new();
        if empties(&place.statement) {
            // New files as well, but nobody had to read or write a row for them.
            emptied.extend(rewritten.drain(..).map(|rewritten| rewritten.table));
            built.clear();
        }
        let scanned = self.scanned(&built);
        let changed = self.changed();
        let mut read: Vec<&str> = Vec::new();
        read.extend(built.iter().map(|built| built.table.as_str()));
        read.extend(rewritten.iter().map(|rewritten| rewritten.table.as_str()));
        // Of a table without rows none is read; that it was tried tells enough.
        let scans = scanned
            .iter()
            .filter(|scanned| scanned.is_full || self.lacks_all(&scanned.table));
        read.extend(scans.map(|scanned| scanned.table.as_str()));
        let written: Vec<_> = changed.iter().map(|c| c.table.as_str()).collect();
        let grows = !read.is_empty() || !written.is_empty();
        let (estimated, too_few_rows_of) = match self.estimate(elapsed, &read, &written) {
            Ok(estimated) => (Some(estimated), Vec::new()),
            Err(tables) => (None, tables),
        };
        Traced {
            locks: if self.in_transaction {
                self.locks()
            } else {
                self.locks_by_rule(&place.statement, &built)
            },
            place,
            elapsed,
            estimated,
            grows,
            too_few_rows_of,
            locks_seen: self.in_transaction,
            rewritten,
            emptied,
            built,
            scanned,
            changed,
            wal_bytes: None,
        }
    }

    fn name(&self, seen: &Seen) -> String {
        if seen.schema == self.schema {
            seen.name.clone()
        } else {
            format!("{}.{}", seen.schema, seen.name)
        }
    }

    /// What a relation was called before the transaction, so that it can be found in what was copied.
    fn known_name(&self, oid: u32) -> Option<String> {
        self.known.get(&oid).map(|seen| self.name(seen))
    }

    /// What the copy lacks of a table.
    fn partial(&self, table: &str) -> Option<&Partial> {
        let mut partial = self.copied.partial.iter();
        partial.find(|partial| partial.table == table)
    }

    /// Whether no row of a table was copied that has some.
    fn lacks_all(&self, table: &str) -> bool {
        self.partial(table).is_some_and(|partial| partial.rows == 0)
    }

    /// How long it takes with all rows; else the tables of which too few were copied to tell.
    fn estimate(
        &self,
        elapsed: Duration,
        read: &[&str],
        written: &[&str],
    ) -> Result<Duration, Vec<String>> {
        let named = |tables: Vec<&&str>| {
            let mut named: Vec<_> = tables.into_iter().map(|t| (*t).to_owned()).collect();
            named.sort();
            named.dedup();
            named
        };
        let lacking: Vec<_> = read.iter().filter(|t| self.lacks_all(t)).collect();
        if !lacking.is_empty() {
            return Err(named(lacking));
        }
        // What is put into a table that has no rows takes the same where it has some.
        let written = written.iter().filter(|table| !self.lacks_all(table));
        let parts = read.iter().chain(written);
        let parts: Vec<_> = parts.filter(|t| self.partial(t).is_some()).collect();
        let factor = parts.iter().map(|table| self.factor(table));
        scaled(elapsed, factor.fold(1.0, f64::max)).ok_or_else(|| named(parts))
    }

    /// How much larger the original of a table is.
    fn factor(&self, table: &str) -> f64 {
        self.partial(table).map_or(1.0, |partial| {
            let room = partial.of_bytes as f64 / partial.bytes.max(8192) as f64;
            room.max(1.0)
        })
    }

    /// How many rows the original of a table has.
    fn rows(&self, table: &str, on_copy: f64) -> u64 {
        let on_copy = on_copy.max(0.0).round() as u64;
        self.partial(table).map_or(on_copy, |partial| partial.of)
    }

    fn locks(&self) -> Vec<Lock> {
        let mut locks = Vec::new();
        for (oid, seen) in self.after {
            let Some(mode) = seen.mode else { continue };
            let before = self.before.get(oid).and_then(|before| before.mode);
            let is_outside = seen.schema != self.schema;
            // Nobody waits for what nobody sees yet.
            let is_new = !is_outside && !self.known.contains_key(oid);
            if before >= Some(mode) || is_new || self.goes_with_its_table(seen, mode) {
                continue;
            }
            locks.push(Lock {
                relation: self.known_name(*oid).unwrap_or_else(|| self.name(seen)),
                is_outside,
                mode,
                blocks: mode.blocks(),
                held: None,
                held_at_least: Duration::ZERO,
            });
        }
        locks.sort_by(|a, b| {
            b.mode
                .cmp(&a.mode)
                .then_with(|| a.relation.cmp(&b.relation))
        });
        locks
    }

    /// Whether the lock on an index tells nothing that the one on its table does not.
    fn goes_with_its_table(&self, seen: &Seen, mode: Mode) -> bool {
        let table = seen.of_table.and_then(|table| self.after.get(&table));
        let table = table.and_then(|table| table.mode);
        seen.is_index() && (mode < Mode::ShareUpdateExclusive || table >= Some(mode))
    }

    /// What no transaction takes has let go of its locks by now: all of these take the same one.
    fn locks_by_rule(&self, statement: &str, built: &[Built]) -> Vec<Lock> {
        let Kind::NoTransaction(what) = kind(statement) else {
            return Vec::new();
        };
        let mode = Mode::ShareUpdateExclusive;
        let lock = |table: &str| Lock {
            relation: table.to_owned(),
            is_outside: false,
            mode,
            blocks: Blocks::SchemaChanges,
            held: None,
            held_at_least: Duration::ZERO,
        };
        let mut tables: Vec<_> = built.iter().map(|built| built.table.as_str()).collect();
        let dropped: Vec<_> = self
            .before
            .iter()
            .filter(|(oid, seen)| seen.is_index() && !self.after.contains_key(oid))
            .filter_map(|(_, seen)| self.known_name(seen.of_table?))
            .collect();
        tables.extend(dropped.iter().map(String::as_str));
        tables.sort_unstable();
        tables.dedup();
        if what.contains("CONCURRENTLY") {
            tables.into_iter().map(lock).collect()
        } else {
            Vec::new()
        }
    }

    fn rewritten(&self) -> Vec<Rewritten> {
        let moved = self.after.iter().filter(|(oid, seen)| {
            let before = self.before.get(oid);
            let is_moved = before.is_some_and(|before| before.file != seen.file);
            seen.is_stored() && !seen.is_gone && is_moved && self.known.contains_key(oid)
        });
        moved
            .filter_map(|(oid, seen)| {
                let table = self.known_name(*oid)?;
                let on_copy = self.known.get(oid).map_or(seen.rows, |known| known.rows);
                let rows = self.rows(&table, on_copy);
                Some(Rewritten { table, rows })
            })
            .collect()
    }

    /// Indexes that were not there or somewhere else; those that came about with their table are its own matter.
    fn built(&self) -> Vec<Built> {
        let made = self.after.iter().filter(|(oid, seen)| {
            let before = self.before.get(oid).map(|before| before.file);
            // An index of a partitioned table is in no file.
            seen.kind == 'i' && !seen.is_gone && before != Some(seen.file)
        });
        made.filter_map(|(_, seen)| {
            Some(Built {
                index: self.name(seen),
                table: self.known_name(seen.of_table?)?,
            })
        })
        .collect()
    }

    fn scanned(&self, built: &[Built]) -> Vec<Scanned> {
        let mut scanned = Vec::new();
        for (oid, seen) in self.after {
            let (Some(known), Some(table)) = (self.known.get(oid), self.known_name(*oid)) else {
                continue;
            };
            let is_built = built.iter().any(|built| built.table == table);
            let before = self.before.get(oid);
            let scans = seen.scans - before.map_or(0, |before| before.scans);
            let read = seen.rows_read - before.map_or(0, |before| before.rows_read);
            let is_seen = self.in_transaction && scans > 0 && !seen.is_gone;
            if !seen.is_stored() || !is_seen && !is_built {
                continue;
            }
            let read = if self.in_transaction { read } else { 0 };
            let rows_read = read.max(0).unsigned_abs();
            scanned.push(Scanned {
                // Whoever builds an index has read all of the table, the workers' part of which is not counted here.
                is_full: is_built || read as f64 >= known.rows && read > 0,
                rows: self.rows(&table, known.rows),
                rows_read,
                table,
            });
        }
        scanned
    }

    fn changed(&self) -> Vec<Changed> {
        let changed = self.after.iter().filter_map(|(oid, seen)| {
            let before = self.before.get(oid).map_or(0, |before| before.rows_changed);
            let rows = (seen.rows_changed - before).max(0).unsigned_abs();
            let is_known = self.known.contains_key(oid) || seen.schema != self.schema;
            (self.in_transaction && rows > 0 && is_known && !seen.is_gone).then(|| Changed {
                table: self.known_name(*oid).unwrap_or_else(|| self.name(seen)),
                rows,
            })
        });
        changed.collect()
    }
}

/// Whether a statement empties tables.
fn empties(statement: &str) -> bool {
    let first = statement.split_whitespace().next();
    first.is_some_and(|word| word.eq_ignore_ascii_case("TRUNCATE"))
}
