//! Failures: grouped in a table, the first of them in full, and how to try again.

use std::collections::BTreeMap;

use super::{Retry, name, snippet};
use crate::{
    cli::{human, output::Output, table, table::Table, trip::targets},
    fleet::Fleet,
    migration::{Direction, MigrationSet, Scope},
    postgres::Fault,
    tenant::{ShardName, Target},
    travel::{Ended, FailureGroup, ScopeReport},
};

/// Shows what failed in a scope, if anything did.
pub(super) fn show(
    scope: &ScopeReport,
    stopped: bool,
    fleet: &Fleet,
    retry: &Retry<'_>,
    output: &Output,
) {
    let groups = scope.failure_groups();
    if groups.is_empty() {
        return;
    }
    let failed: Vec<_> = scope.failures().map(|(target, _)| target).collect();
    tell(&groups, scope.scope, fleet, output);
    for why in left(scope, stopped, &groups) {
        output.note(&why);
    }
    let again = match retry.typed(&failed) {
        Some(command) => format!("`{command}`"),
        None => format!(
            "`tenantry {}` with the names that --output json lists",
            retry.command
        ),
    };
    let set = fleet.set(scope.scope);
    output.note(&format!("{}; to try again: {again}", fate(&groups, set)));
    let mut failures = scope.failures();
    if failures.any(|(_, failure)| !failure.blockers.is_empty()) {
        output.note("who is in the way now, and of whom: `tenantry blockers`");
    }
    let others = others(scope, &groups, &failed, retry);
    // Whoever asked to stop did not ask how to go on.
    if let (Some(command), false) = (others, stopped) {
        output.note(&format!("the others first: `{command}`"));
    }
}

/// Where these failed, the others would too, or worse: nobody is told to go on with them.
const ALIKE: [Fault; 5] = [
    Fault::Author,
    Fault::Escaped,
    Fault::Foreign,
    Fault::Shard,
    Fault::Connection,
];

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
    let alike = any(groups, &ALIKE);
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

fn any(groups: &[FailureGroup<'_>], faults: &[Fault]) -> bool {
    groups
        .iter()
        .any(|group| faults.contains(&group.example.fault))
}

/// Why others were not begun.
fn left(scope: &ScopeReport, stopped: bool, groups: &[FailureGroup<'_>]) -> Vec<String> {
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
        notes.push(note(others, why_not(stopped, groups)));
    }
    notes
}

/// What ended the run before those whose shard is well.
fn why_not(stopped: bool, groups: &[FailureGroup<'_>]) -> &'static str {
    if groups.iter().any(is_unsent) {
        "it would fail everywhere alike"
    } else if any(groups, &[Fault::Author]) {
        "the script fails everywhere alike"
    } else if any(groups, &[Fault::Escaped, Fault::Foreign]) {
        "the script would do the same there"
    } else if stopped {
        "somebody asked to stop"
    } else {
        "more failed than --max-failures allows"
    }
}

/// What became of those that failed.
fn fate(groups: &[FailureGroup<'_>], set: &MigrationSet) -> &'static str {
    let in_steps = |group: &FailureGroup<'_>| has_no_transaction(group, set);
    if any(groups, &[Fault::Escaped, Fault::Dirty]) {
        "a schema is marked dirty: look at it first (`tenantry repair`)"
    } else if groups.iter().any(is_unsent) {
        "what failed was not begun"
    } else if groups
        .iter()
        .any(|group| group.example.error.leaves_running)
    {
        "what could not be cancelled is committed or rolled back when it ends: `tenantry status` tells"
    } else if groups.iter().any(in_steps) {
        "what failed was undone, or is gone on with by the next run"
    } else {
        "what failed was rolled back"
    }
}

/// Whether it was not even sent, for something that is wrong for all of them and in no script: a way past a pooler is missing.
fn is_unsent(group: &FailureGroup<'_>) -> bool {
    let failure = group.example;
    failure.fault == Fault::Author && failure.place.is_none() && failure.error.code.is_empty()
}

/// Whether what failed is carried statement by statement, as far as the files tell.
fn has_no_transaction(group: &FailureGroup<'_>, set: &MigrationSet) -> bool {
    let Some(place) = &group.example.place else {
        return false;
    };
    let mut migrations = set.migrations.iter();
    let migration = migrations.find(|migration| Some(migration.version) == place.version);
    migration.is_some_and(|migration| {
        let script = match place.direction {
            Direction::Up => Some(&migration.up),
            Direction::Down => migration.down.as_ref(),
        };
        script.is_some_and(|script| script.directives.no_transaction)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        apply::Failure, cli::report::Work, postgres::ServerError, sql::Ident, travel::Run,
    };

    /// acme failed so, and blue was not begun.
    fn report(fault: Fault) -> ScopeReport {
        let failure = Failure::without_place(fault, ServerError::local("no".to_owned()));
        let run = |name: &str, ended| Run {
            target: Target {
                shard: ShardName::new("main"),
                schema: Ident::new(name).unwrap(),
            },
            from: None,
            to: None,
            noticed: Vec::new(),
            migrations: 0,
            ended,
        };
        ScopeReport {
            scope: Scope::Tenant,
            current: 0,
            runs: vec![
                run("acme", Ended::Failed(Box::new(failure))),
                run("blue", Ended::NotStarted),
            ],
            refusals: Vec::new(),
            blocked: Vec::new(),
            left_in_place: 0,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn nobody_is_sent_on_with_a_script_that_would_do_the_same_to_the_others() {
        let retry = Retry {
            command: "up".to_owned(),
            selector: None,
            arguments: String::new(),
            relative: false,
            work: Work::Once,
        };
        let dirty = "a schema is marked dirty: look at it first (`tenantry repair`)";
        let back = "what failed was rolled back";
        let unsent = "what failed was not begun";
        for (fault, stopped, why, what_now, goes_on) in [
            (Fault::Tenant, false, "--max-failures", back, true),
            (Fault::Tenant, true, "asked to stop", back, true),
            (Fault::Dirty, false, "--max-failures", dirty, true),
            (Fault::Author, false, "everywhere alike", unsent, false),
            (Fault::Escaped, false, "the same there", dirty, false),
            (Fault::Foreign, true, "the same there", back, false),
            (
                Fault::Connection,
                false,
                "shard main is unwell",
                back,
                false,
            ),
        ] {
            let scope = report(fault);
            let groups = scope.failure_groups();
            let left = left(&scope, stopped, &groups);
            assert!(
                left.len() == 1 && left[0].contains(why),
                "{fault:?}: {left:?}"
            );
            let set = MigrationSet::empty(Scope::Tenant);
            assert_eq!(fate(&groups, &set), what_now, "{fault:?}");
            let failed: Vec<_> = scope.failures().map(|(target, _)| target).collect();
            let others = others(&scope, &groups, &failed, &retry);
            assert_eq!(others.is_some(), goes_on, "{fault:?}: {others:?}");
        }
    }
}
