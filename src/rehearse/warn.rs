//! What should be thought over before a plan meets the fleet, by what was seen on the copies.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use super::{
    Lock, Mode, Rehearsed, Traced, Transaction, Warning, WarningKind, conduct::Thresholds,
    words::counted,
};
use crate::{migration::Scope, sql::Ident};

/// The warnings, in the order of the statements; of those that many copies gave, the worst.
pub(super) fn warnings(
    copies: &[Rehearsed],
    thresholds: &Thresholds,
    also_writes: &[Ident],
) -> Vec<Warning> {
    let mut worst: Vec<(Key, u128, Warning)> = Vec::new();
    let mut known: HashMap<Key, usize> = HashMap::new();
    for copy in copies {
        for transaction in &copy.transactions {
            for found in of_transaction(copy, transaction, thresholds, also_writes) {
                let Some(&at) = known.get(&found.key) else {
                    known.insert(found.key.clone(), worst.len());
                    let warning = found.warning(copy);
                    worst.push((found.key, found.weight, warning));
                    continue;
                };
                let (_, weight, warning) = &mut worst[at];
                let copies = warning.copies + 1;
                if found.weight > *weight {
                    *weight = found.weight;
                    *warning = found.warning(copy);
                }
                warning.copies = copies;
            }
        }
    }
    let mut warnings: Vec<_> = worst.into_iter().map(|(_, _, warning)| warning).collect();
    warnings.sort_by_key(|warning| (warning.place.version.is_none(), warning.place.version));
    warnings
}

/// What makes two warnings the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: WarningKind,
    path: PathBuf,
    line: usize,
    column: usize,
    relation: String,
}

struct Found<'a> {
    key: Key,
    /// The heavier, the worse.
    weight: u128,
    traced: &'a Traced,
    message: String,
}

impl<'a> Found<'a> {
    fn new(
        kind: WarningKind,
        relation: &str,
        weight: u128,
        traced: &'a Traced,
        message: String,
    ) -> Self {
        let place = &traced.place;
        Self {
            key: Key {
                kind,
                path: place.path.clone(),
                line: place.position.line,
                column: place.position.column,
                relation: relation.to_owned(),
            },
            weight,
            traced,
            message,
        }
    }

    fn warning(&self, copy: &Rehearsed) -> Warning {
        Warning {
            kind: self.key.kind,
            place: self.traced.place.clone(),
            message: self.message.clone(),
            schema: copy.schema.clone(),
            copies: 1,
        }
    }
}

fn of_transaction<'a>(
    copy: &Rehearsed,
    transaction: &'a Transaction,
    thresholds: &Thresholds,
    also_writes: &[Ident],
) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let mut held: BTreeMap<&str, Mode> = BTreeMap::new();
    for traced in &transaction.statements {
        for lock in &traced.locks {
            held.insert(&lock.relation, lock.mode);
            found.extend(long(copy, traced, lock, thresholds.long));
            if copy.scope == Scope::Tenant && lock.is_outside {
                let message = outside(lock, also_writes);
                let kind = WarningKind::Outside;
                found.extend(message.map(|m| Found::new(kind, &lock.relation, 0, traced, m)));
            }
        }
        found.extend(of_rows(copy, traced, &held, thresholds.large));
    }
    found
}

/// A lock that applications wait for, for long.
fn long<'a>(
    copy: &Rehearsed,
    traced: &'a Traced,
    lock: &Lock,
    limit: Duration,
) -> Option<Found<'a>> {
    let (relation, mode, blocks) = (&lock.relation, lock.mode, lock.blocks);
    (mode.is_felt() && lock.held_at_least >= limit).then(|| {
        let held = match lock.held {
            Some(held) => format!("about {}", seconds(held)),
            None => format!("{} or longer", seconds(lock.held_at_least)),
        };
        let message = format!(
            "{relation} is locked for {held} on {} ({mode}, {blocks})",
            copy.schema
        );
        let weight = lock.held_at_least.as_nanos();
        Found::new(WarningKind::LongLock, relation, weight, traced, message)
    })
}

/// Large tables that are written anew, or read whole while applications wait for them.
fn of_rows<'a>(
    copy: &Rehearsed,
    traced: &'a Traced,
    held: &BTreeMap<&str, Mode>,
    large: u64,
) -> Vec<Found<'a>> {
    let schema = &copy.schema;
    let rewritten = traced.rewritten.iter().filter(|found| found.rows >= large);
    let rewritten = rewritten.map(|found| {
        let (table, rows) = (&found.table, counted(found.rows, "row"));
        let message = format!("{table} is written anew: {rows} on {schema}");
        let weight = found.rows.into();
        Found::new(WarningKind::Rewrite, table, weight, traced, message)
    });
    let scanned = traced.scanned.iter().filter(|found| {
        let is_rewritten = traced.rewritten.iter().any(|r| r.table == found.table);
        found.is_full && !is_rewritten && found.rows >= large
    });
    let scanned = scanned.filter_map(|found| {
        let (table, rows) = (&found.table, counted(found.rows, "row"));
        let mode = held.get(table.as_str()).filter(|mode| mode.is_felt())?;
        let blocks = mode.blocks();
        let message =
            format!("all of {table} is read, {rows} on {schema}, under a lock that {blocks}");
        let kind = WarningKind::ScanUnderLock;
        Some(Found::new(kind, table, found.rows.into(), traced, message))
    });
    rewritten.chain(scanned).collect()
}

/// What there is to say of a lock on what is not the tenant's own; nothing where it is only read or may be written.
fn outside(lock: &Lock, also_writes: &[Ident]) -> Option<String> {
    let (relation, mode, blocks) = (&lock.relation, lock.mode, lock.blocks);
    if mode >= Mode::ShareUpdateExclusive {
        return Some(format!(
            "{relation} is not the tenant's own, and is locked ({mode}, {blocks}) by each tenant in turn"
        ));
    }
    let is_of = |schema: &&Ident| relation.starts_with(&format!("{}.", schema.as_str()));
    let may_be_written = also_writes.iter().any(|schema| is_of(&schema));
    (mode == Mode::RowExclusive && !may_be_written).then(|| {
        format!(
            "rows of {relation} are changed, which is not the tenant's own: `up` refuses that, unless its schema is in \
             `migrations.also_writes`"
        )
    })
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
