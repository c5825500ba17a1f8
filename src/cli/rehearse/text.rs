//! What was seen on the copies, for people.

use std::{collections::HashMap, time::Duration};

use crate::{
    apply::Place,
    cli::{human, paint::Paint},
    migration::Scope,
    rehearse::{Ended, Estimate, Mode, Rehearsal, Rehearsed, Traced, Warning, counted},
};

/// One copy, on one line.
pub(super) fn copy(copy: &Rehearsed, paint: Paint) -> String {
    let name = whose(copy);
    let statements = human::count(copy.statements().count(), "statement", "statements");
    let took = took(copy.elapsed);
    match &copy.ended {
        Ended::Passed => {
            let data = copy.copied.as_ref().map_or_else(String::new, |copied| {
                let part = if copied.partial.is_empty() {
                    ""
                } else {
                    ", not all of them"
                };
                format!(" on {}{part}", rows(copied.rows))
            });
            let stands = stands_for(copy);
            format!(
                "  {} {name}: {statements} in {took}{data}{stands}",
                paint.good("✓")
            )
        }
        Ended::Failed { failure, .. } => {
            let stands = stands_for(copy);
            format!("  {} {name}: fails: {failure}{stands}", paint.bad("✗"))
        }
        Ended::Kept { place, why } => {
            let at = at(place);
            format!("  {} {name}: not beyond {at}: {why}", paint.caution("?"))
        }
        Ended::NotRehearsed { why } => {
            format!("  {} {name}: not rehearsed: {why}", paint.bad("✗"))
        }
    }
}

/// For how many tenants it speaks, and of which cluster.
fn stands_for(copy: &Rehearsed) -> String {
    copy.stands_for.map_or_else(String::new, |stands| {
        let tenants = human::count(stands.tenants, "tenant", "tenants");
        format!("; stands for {tenants} of cluster {}", stands.cluster)
    })
}

fn whose(copy: &Rehearsed) -> String {
    match copy.scope {
        Scope::Shared => format!("{} (shared, on {})", copy.schema, copy.shard),
        Scope::Tenant => copy.schema.clone(),
    }
}

/// The statements, what to think over, and what it will take.
pub(super) fn summary(rehearsal: &Rehearsal, paint: Paint) -> String {
    if rehearsal.copies.is_empty() {
        let nothing = match rehearsal.unwell.is_empty() {
            true => "nothing is pending",
            false => "nothing was rehearsed",
        };
        return nothing.to_owned();
    }
    let mut blocks: Vec<_> = Statement::all(rehearsal)
        .iter()
        .map(|statement| statement.block(paint))
        .collect();
    let warnings = rehearsal.warnings.iter();
    let warnings: Vec<_> = warnings.map(|w| warning(w, paint)).collect();
    if !warnings.is_empty() {
        blocks.push(warnings.join("\n"));
    }
    blocks.extend(clusters(rehearsal));
    blocks.extend(rehearsal.estimate.as_ref().map(|e| estimate(rehearsal, e)));
    format!("\n{}", blocks.join("\n\n"))
}

/// A statement on all copies on which it ran.
struct Statement<'a> {
    /// The copy on which it takes longest, with all rows.
    worst: (&'a Rehearsed, &'a Traced),
    times: Vec<Duration>,
}

impl<'a> Statement<'a> {
    fn all(rehearsal: &'a Rehearsal) -> Vec<Self> {
        let mut statements: Vec<Self> = Vec::new();
        let mut known = HashMap::new();
        for copy in &rehearsal.copies {
            for traced in copy.statements() {
                let place = &traced.place;
                let key = (
                    copy.scope,
                    &place.path,
                    place.position.line,
                    place.position.column,
                );
                let index = *known.entry(key).or_insert_with(|| {
                    statements.push(Self {
                        worst: (copy, traced),
                        times: Vec::new(),
                    });
                    statements.len() - 1
                });
                let statement = &mut statements[index];
                statement.times.push(traced.elapsed);
                if longest(traced) > longest(statement.worst.1) {
                    statement.worst = (copy, traced);
                }
            }
        }
        statements
    }

    fn block(&self, paint: Paint) -> String {
        let (copy, traced) = self.worst;
        let mut lines = vec![format!(
            "{} {}",
            paint.strong(at(&traced.place)),
            first_line(&traced.place.statement)
        )];
        lines.push(format!("  {}", self.times(copy, traced)));
        lines.extend(details(traced).into_iter().map(|line| format!("  {line}")));
        lines.join("\n")
    }

    fn times(&self, copy: &Rehearsed, traced: &Traced) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        let copies = human::count(times.len(), "copy", "copies");
        let median = took(times[times.len() / 2]);
        let mut text = format!("{copies}: {median}");
        if let Some(most) = times.last().filter(|_| times.len() > 1) {
            text += &format!(", {} at most", took(*most));
        }
        let schema = &copy.schema;
        match traced.estimated {
            Some(all) if all > traced.elapsed => {
                text += &format!("; about {} with all rows of {schema}", took(all));
            }
            Some(_) => {}
            None => {
                let tables = traced.too_few_rows_of.join(", ");
                text += &format!(
                    "; how long with all rows of {schema} is not known, as too few of {tables} were copied"
                );
            }
        }
        text
    }
}

/// What nobody knows may be longest.
fn longest(traced: &Traced) -> Duration {
    traced.estimated.unwrap_or(Duration::MAX)
}

/// What it did, a line each.
fn details(traced: &Traced) -> Vec<String> {
    let mut lines = Vec::new();
    let worth = traced
        .locks
        .iter()
        .filter(|lock| lock.mode >= Mode::ShareUpdateExclusive);
    for lock in worth {
        let by_rule = if traced.locks_seen { "" } else { ", by rule" };
        lines.push(format!(
            "locks {}: {}, {}{by_rule}",
            lock.relation, lock.mode, lock.blocks
        ));
    }
    for rewritten in &traced.rewritten {
        lines.push(format!(
            "rewrites {}: {}",
            rewritten.table,
            rows(rewritten.rows)
        ));
    }
    let emptied = traced.emptied.iter();
    lines.extend(emptied.map(|table| format!("empties {table}")));
    for built in &traced.built {
        lines.push(format!("builds index {} on {}", built.index, built.table));
    }
    for scanned in traced.scanned.iter().filter(|scanned| scanned.is_full) {
        lines.push(format!(
            "reads all of {}: {}",
            scanned.table,
            rows(scanned.rows)
        ));
    }
    for changed in &traced.changed {
        lines.push(format!(
            "changes {} of {}",
            rows(changed.rows),
            changed.table
        ));
    }
    lines
}

fn warning(warning: &Warning, paint: Paint) -> String {
    paint.labelled(
        "warning:",
        &format!("{}: {}", at(&warning.place), warning.message),
    )
}

/// So many clusters are shown.
const CLUSTERS: usize = 10;

/// What the tenants look like, where that is not the same everywhere.
fn clusters(rehearsal: &Rehearsal) -> Option<String> {
    let all = &rehearsal.clusters;
    if all.len() < 2 {
        return None;
    }
    let kinds = human::count(all.len(), "cluster", "clusters");
    let mut lines = vec![format!(
        "tenants by structure: {kinds}; `tenantry drift` tells in what they differ"
    )];
    lines.extend(all.iter().take(CLUSTERS).map(|cluster| {
        let tenants = human::count(cluster.tenants, "tenant", "tenants");
        let copies = human::count(cluster.copies, "copy", "copies");
        let unseen = match cluster.fingerprint {
            Some(_) => "",
            None => ", not looked at",
        };
        format!("  {}: {tenants}, {copies}{unseen}", cluster.number)
    }));
    if let Some(more) = all.len().checked_sub(CLUSTERS).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more, in the JSON"));
    }
    Some(lines.join("\n"))
}

fn estimate(rehearsal: &Rehearsal, estimate: &Estimate) -> String {
    let elapsed = took(estimate.elapsed);
    let tenants = human::count(rehearsal.tenants, "tenant", "tenants");
    let mut lines = vec![match &estimate.slowest {
        Some(slowest) => format!(
            "about {elapsed} for {tenants}, the slowest of them {slowest} with {}",
            took(estimate.slowest_elapsed)
        ),
        None => format!("about {elapsed} for the shared schemas"),
    }];
    let assumptions = estimate.assumptions.iter();
    lines.extend(assumptions.map(|assumption| format!("  supposing that {assumption}")));
    lines.join("\n")
}

fn at(place: &Place) -> String {
    format!("{}:{}", place.path.display(), place.position)
}

fn rows(rows: u64) -> String {
    counted(rows, "row")
}

/// Below a millisecond a statement is not worth its digits.
fn took(duration: Duration) -> String {
    if duration < Duration::from_millis(1) {
        "under 1 ms".to_owned()
    } else {
        human::duration(duration)
    }
}

/// So many characters of a statement are shown.
const SHOWN: usize = 72;

fn first_line(statement: &str) -> String {
    let words: Vec<_> = statement.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
