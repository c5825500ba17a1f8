//! The status for people.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::Cell;

use super::{Fleetwide, Group, ScopeStatus, is_late};
use crate::{
    cli::{
        human,
        paint::Paint,
        report::{away_lines, blocked_lines, name},
        table::{self, Table},
        trip::targets,
    },
    fleet::Fleet,
    store::drifted::Drifted,
};

/// A table of versions, then what stands out.
pub(super) fn status(status: &Fleetwide, fleet: &Fleet, paint: Paint) -> String {
    let mut table = Table::new(
        paint,
        ["SCOPE", "VERSION", "NAME", "SCHEMAS", "PENDING", "DRIFT"],
    )
    .numbers(&[3, 4, 5]);
    for scope in &status.scopes {
        for group in &scope.standings {
            if scope.is_unused(group, fleet) {
                continue;
            }
            table.row(row(scope, group));
        }
        if scope.standings.is_empty() {
            let none = [Cell::new(scope.scope), table::faint("-"), table::faint("-")];
            let [scope, version, name] = none;
            table.row([scope, version, name, Cell::new(0), dash(), dash()]);
        }
    }
    let mut paragraphs = vec![table.render()];
    for scope in &status.scopes {
        paragraphs.extend(drifts(scope, paint));
        paragraphs.extend(running(scope, fleet, paint));
        paragraphs.extend(blocked(scope, fleet, paint));
    }
    paragraphs.extend(drifted(status, paint));
    paragraphs.extend(away(status, paint));
    paragraphs.extend(others(status, fleet, paint));
    paragraphs.join("\n\n")
}

fn row(scope: &ScopeStatus, group: &Group) -> [Cell; 6] {
    let adrift = group.drift.iter().filter(|drift| !is_late(drift)).count();
    let pending = match (group.pending.len(), group.repeatables_pending) {
        (0, false) => dash(),
        (0, true) => table::caution("repeatables"),
        (count, _) => table::caution(human::number(count)),
    };
    [
        Cell::new(scope.scope),
        group
            .version
            .map_or_else(|| table::faint("nothing applied"), Cell::new),
        group
            .name
            .as_ref()
            .map_or_else(|| table::faint("-"), Cell::new),
        Cell::new(human::number(group.targets.len())),
        pending,
        if adrift == 0 {
            dash()
        } else {
            table::bad(human::number(adrift))
        },
    ]
}

fn dash() -> Cell {
    table::faint("-")
}

/// Each disagreement once, with the number of targets that have it.
fn drifts(scope: &ScopeStatus, paint: Paint) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for group in &scope.standings {
        for drift in &group.drift {
            *counts.entry(drift.to_string()).or_default() += group.targets.len();
        }
    }
    let lines: Vec<_> = counts
        .into_iter()
        .map(|(drift, count)| {
            let whom = targets(scope.scope, count);
            paint.labelled("drift:", &format!("{drift} ({whom})"))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What was begun and is not finished: by somebody who is at it, or who was cut off.
fn running(scope: &ScopeStatus, fleet: &Fleet, paint: Paint) -> Option<String> {
    let lines: Vec<_> = scope
        .standings
        .iter()
        .filter_map(|group| {
            let running = group.running?;
            let names: Vec<_> = group.targets.iter().map(|t| name(t, fleet)).collect();
            let title = format!(
                "in the middle of {} on the way {}:",
                running.version, running.direction
            );
            Some(listed(&paint.caution(title), &names))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn blocked(scope: &ScopeStatus, fleet: &Fleet, paint: Paint) -> Option<String> {
    if scope.is_unmade() {
        let unmade: Vec<_> = scope
            .blocked
            .iter()
            .map(|b| name(&b.target, fleet))
            .collect();
        let them = unmade.join(", ");
        return Some(format!("{them} is not there yet: `tenantry up` makes it"));
    }
    let line = |line: String| paint.labelled("blocked:", &line);
    let lines: Vec<_> = blocked_lines(&scope.blocked, fleet)
        .into_iter()
        .map(line)
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Schemas that looked otherwise than they should, so many of them.
fn drifted(status: &Fleetwide, paint: Paint) -> Option<String> {
    const SHOWN: usize = 10;
    let line = |noted: &Drifted| {
        let first = noted.summary.first().map_or("", String::as_str);
        let more = match noted.summary.len() {
            0 | 1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        format!("  {} on {}: {first}{more}", noted.schema, noted.shard)
    };
    let first = status.drifted.first()?;
    let many = human::count(status.drifted.len(), "schema", "schemas");
    let title = format!(
        "{many} drifted, as of {:.0}; `tenantry drift` looks again:",
        first.last_seen
    );
    let mut lines = vec![paint.bad(title)];
    lines.extend(status.drifted.iter().take(SHOWN).map(line));
    let more = status.drifted.len().saturating_sub(SHOWN);
    lines.extend((more > 0).then(|| format!("  and {} more", human::number(more))));
    Some(lines.join("\n"))
}

fn away(status: &Fleetwide, paint: Paint) -> Option<String> {
    let lines = away_lines(status.scopes.iter().flat_map(|scope| &scope.blocked));
    let lines: Vec<_> = lines
        .iter()
        .map(|line| paint.labelled("error:", line))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Tenants that are not moved, and schemas that are nobody's.
fn others(status: &Fleetwide, fleet: &Fleet, paint: Paint) -> Option<String> {
    let mut lines = Vec::new();
    let states: BTreeSet<_> = status
        .idle
        .iter()
        .map(|(_, state)| state.as_str())
        .collect();
    for state in states {
        let these = status.idle.iter().filter(|(_, s)| s.as_str() == state);
        let names: Vec<_> = these.map(|(target, _)| name(target, fleet)).collect();
        lines.push(listed(&paint.faint(format!("{state}:")), &names));
    }
    if !status.strays.is_empty() {
        let names = status
            .strays
            .iter()
            .map(|(_, pinned)| pinned.head.schema.clone());
        let names: Vec<_> = names.collect();
        lines.push(listed(&paint.caution("in no registry:"), &names));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The first few names, and how many more there are.
fn listed(title: &str, names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut line = format!("{title} {}", names[..names.len().min(SHOWN)].join(", "));
    if names.len() > SHOWN {
        line.push_str(&format!(" and {} more", human::number(names.len() - SHOWN)));
    }
    line
}
