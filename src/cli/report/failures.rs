//! Failures: grouped in a table, the first of them in full, and how to try again.

use std::collections::BTreeMap;

use super::{Retry, name, snippet};
use crate::{
    cli::{human, output::Output, table, table::Table, trip::targets},
    fleet::Fleet,
    migration::Scope,
    postgres::Fault,
    rollout::{Ended, FailureGroup, ScopeReport},
    tenant::{ShardName, Target},
};

/// Shows what failed in a scope, if anything did.
pub(super) fn show(scope: &ScopeReport, fleet: &Fleet, retry: &Retry<'_>, output: &Output) {
    let groups = scope.failure_groups();
    if groups.is_empty() {
        return;
    }
    let failed: Vec<_> = scope.failures().map(|(target, _)| target).collect();
    tell(&groups, scope.scope, fleet, output);
    for why in left(scope, &groups) {
        output.note(&why);
    }
    let again = match retry.typed(&failed) {
        Some(command) => format!("`{command}`"),
        None => format!(
            "`tenantry {}` with the names that --output json lists",
            retry.command
        ),
    };
    output.note(&format!("{}; to try again: {again}", fate(&groups)));
    let mut failures = scope.failures();
    if failures.any(|(_, failure)| !failure.blockers.is_empty()) {
        output.note("who is in the way now, and of whom: `tenantry blockers`");
    }
    if let Some(command) = others(scope, &groups, &failed, retry) {
        output.note(&format!("the others first: `{command}`"));
    }
}

/// How to go on with those that were not begun, where nothing says that they would fail alike.
fn others(
    scope: &ScopeReport,
    groups: &[FailureGroup<'_>],
    failed: &[&Target],
    retry: &Retry<'_>,
) -> Option<String> {
    let not_begun = scope
        .runs
        .iter()
        .filter(|run| run.ended == Ended::NotStarted);
    let not_begun: Vec<_> = not_begun.map(|run| &run.target).collect();
    let alike = [Fault::Author, Fault::Shard, Fault::Connection];
    let alike = groups
        .iter()
        .any(|group| alike.contains(&group.example.fault));
    if not_begun.is_empty() || alike || scope.scope == Scope::Shared {
        return None;
    }
    retry.others(failed, &not_begun)
}

/// A heading, the groups, and the first failure of the first of them in full.
pub(in crate::cli) fn tell(
    groups: &[FailureGroup<'_>],
    scope: Scope,
    fleet: &Fleet,
    output: &Output,
) {
    let Some(first) = groups.first() else {
        return;
    };
    let failed: usize = groups.iter().map(|group| group.targets.len()).sum();
    output.aside("");
    output.error(&format!("{} failed", targets(scope, failed)));
    // Of one failure the excerpt says all that the table would.
    if failed > 1 {
        output.aside(&format!("\n{}", table(groups, fleet, output)));
    }
    output.aside("");
    let example = first.targets.first().map(|target| name(target, fleet));
    output.aside(&snippet::render(
        first.example,
        example.as_deref(),
        output.error_paint,
    ));
    output.aside("");
}

fn table(groups: &[FailureGroup<'_>], fleet: &Fleet, output: &Output) -> String {
    let mut table = Table::new(output.error_paint, ["FAILED", "EXAMPLE", "ERROR"]).numbers(&[0]);
    for group in groups {
        let example = group.targets.first().map(|target| name(target, fleet));
        table.row([
            table::bad(human::number(group.targets.len())),
            example.unwrap_or_default().into(),
            group.example.to_string().into(),
        ]);
    }
    table.render()
}

/// Why others were not begun.
fn left(scope: &ScopeReport, groups: &[FailureGroup<'_>]) -> Vec<String> {
    let unwell = scope.unwell();
    let not_begun = scope
        .runs
        .iter()
        .filter(|run| run.ended == Ended::NotStarted);
    let mut on_unwell: BTreeMap<&ShardName, usize> = BTreeMap::new();
    let mut others = 0;
    for run in not_begun {
        if unwell.contains_key(&run.target.shard) {
            *on_unwell.entry(&run.target.shard).or_default() += 1;
        } else {
            others += 1;
        }
    }
    let note = |count: usize, why: &str| {
        let verb = if count == 1 { "was" } else { "were" };
        let them = targets(scope.scope, count);
        format!("{them} {verb} not begun: {why}")
    };
    let mut notes: Vec<_> = on_unwell
        .into_iter()
        .map(|(shard, count)| note(count, &format!("shard {shard} is unwell")))
        .collect();
    if others > 0 {
        let author = |group: &FailureGroup<'_>| group.example.fault == Fault::Author;
        notes.push(note(
            others,
            if groups.iter().any(author) {
                "the script fails everywhere alike"
            } else {
                "more failed than --max-failures allows"
            },
        ));
    }
    notes
}

/// What became of those that failed.
fn fate(groups: &[FailureGroup<'_>]) -> &'static str {
    let escaped = |group: &FailureGroup<'_>| group.example.fault == Fault::Escaped;
    if groups.iter().any(escaped) {
        "a script ended its transaction, and its schema is marked dirty: look at it first"
    } else {
        "what failed was rolled back"
    }
}
