//! What should be thought over before a plan meets the fleet, by what was seen on the copies.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::Duration,
};

use super::{Mode, Rehearsed, Traced, Transaction, Warning, WarningKind, conduct::Thresholds};
use crate::migration::Scope;

/// The warnings, in the order of the statements; of those that many copies gave, the worst.
pub(super) fn warnings(copies: &[Rehearsed], thresholds: &Thresholds) -> Vec<Warning> {
    let mut worst: Vec<(Key, u128, Warning)> = Vec::new();
    let mut known: HashMap<Key, usize> = HashMap::new();
    for copy in copies {
        for transaction in &copy.transactions {
            for found in of_transaction(copy, transaction, thresholds) {
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

impl Found<'_> {
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
) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let mut held: BTreeMap<&str, Mode> = BTreeMap::new();
    for traced in &transaction.statements {
        let mut add = |kind, relation: &str, weight, message| {
            let place = &traced.place;
            let key = Key {
                kind,
                path: place.path.clone(),
                line: place.position.line,
                column: place.position.column,
                relation: relation.to_owned(),
            };
            found.push(Found {
                key,
                weight,
                traced,
                message,
            });
        };
        for lock in &traced.locks {
            held.insert(&lock.relation, lock.mode);
            let (relation, mode, blocks) = (&lock.relation, lock.mode, lock.blocks);
            if mode.is_felt() && lock.held >= thresholds.long {
                let message = format!(
                    "{relation} is locked for about {} on {} ({mode}, {blocks})",
                    seconds(lock.held),
                    copy.schema
                );
                add(
                    WarningKind::LongLock,
                    relation,
                    lock.held.as_nanos(),
                    message,
                );
            }
            let is_strong = mode >= Mode::ShareUpdateExclusive;
            if copy.scope == Scope::Tenant && lock.is_outside && is_strong {
                let message = format!(
                    "{relation} is not the tenant's own, and is locked ({mode}, {blocks}) by each tenant in turn"
                );
                add(WarningKind::Outside, relation, 0, message);
            }
        }
        for rewritten in &traced.rewritten {
            let (table, rows) = (&rewritten.table, rewritten.rows);
            if rows >= thresholds.large {
                let message = format!("{table} is written anew: {rows} rows on {}", copy.schema);
                add(WarningKind::Rewrite, table, rows.into(), message);
            }
        }
        for scanned in traced.scanned.iter().filter(|scanned| scanned.is_full) {
            let (table, rows) = (&scanned.table, scanned.rows);
            let is_rewritten = traced.rewritten.iter().any(|r| r.table == *table);
            let mode = held.get(table.as_str()).filter(|mode| mode.is_felt());
            if let Some(mode) = mode.filter(|_| !is_rewritten && rows >= thresholds.large) {
                let message = format!(
                    "all of {table} is read, {rows} rows on {}, under a lock that {}",
                    copy.schema,
                    mode.blocks()
                );
                add(WarningKind::ScanUnderLock, table, rows.into(), message);
            }
        }
    }
    found
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
