//! One line a scope: what was done, how fast, and what was not.

use crate::{
    cli::{
        human,
        paint::Paint,
        trip::{targets, things},
    },
    fleet::Fleet,
    migration::Scope,
    travel::{Ended, Report, ScopeReport},
};

/// What a migration is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Work {
    /// Applied, or taken back.
    Once,
    /// Taken back and applied again.
    Again,
}

/// A line for each scope, and one more when it was stopped.
pub(super) fn lines(report: &Report, fleet: &Fleet, work: Work, paint: Paint) -> Vec<String> {
    // A refusal in one scope stops all of them before anything is begun.
    if report.scopes.iter().any(|scope| !scope.refusals.is_empty()) {
        return vec!["Nothing was begun.".to_owned()];
    }
    let mut lines: Vec<_> = report
        .scopes
        .iter()
        .filter(|scope| report.scopes.len() == 1 || !is_unused(scope, fleet))
        .map(|scope| line(scope, work, paint))
        .collect();
    if report.stopped {
        lines.push(paint.caution("stopped: what was begun is finished, the rest is as it was"));
    }
    lines
}

/// Whether there is no shared set to speak of.
fn is_unused(scope: &ScopeReport, fleet: &Fleet) -> bool {
    scope.scope == Scope::Shared
        && scope.runs.is_empty()
        && scope.blocked.is_empty()
        && fleet.shared.is_empty()
}

fn line(scope: &ScopeReport, work: Work, paint: Paint) -> String {
    if scope.runs.is_empty() {
        return match scope.current {
            0 => format!("no {} to move", things(scope.scope)),
            current => format!("{}: nothing to do", targets(scope.scope, current)),
        };
    }
    let done = scope.done();
    let all = scope.runs.len();
    let mut line = if done == all {
        paint.good(format!("{} moved", targets(scope.scope, done)))
    } else {
        let of = targets(scope.scope, all);
        format!("{} of {of} moved", human::number(done))
    };
    line.push_str(&format!(" in {}", human::duration(scope.elapsed)));
    if done > 1 {
        line.push_str(&format!(" ({})", human::rate(done, scope.elapsed)));
    }
    if done > 0 {
        line.push_str(&format!(", {}", each(scope, work)));
    }
    for (count, what) in [
        (scope.failures().count(), "failed"),
        (scope.not_started(), "not begun"),
    ] {
        if count > 0 {
            let text = format!("{} {what}", human::number(count));
            line.push_str(&format!("; {}", paint.bad(text)));
        }
    }
    if scope.current > 0 {
        let current = human::number(scope.current);
        line.push_str(&format!("; {current} had nothing to do"));
    }
    line
}

/// How many migrations each target had that was moved.
fn each(scope: &ScopeReport, work: Work) -> String {
    let done = || scope.runs.iter().filter(|run| run.ended == Ended::Done);
    let counts = || {
        done().map(|run| match work {
            Work::Once => run.migrations,
            // Back and up again are two.
            Work::Again => run.migrations / 2,
        })
    };
    let (least, most) = (
        counts().min().unwrap_or_default(),
        counts().max().unwrap_or_default(),
    );
    let each = if done().count() > 1 { " each" } else { "" };
    match (least, most) {
        (0, 0) => "repeatables only".to_owned(),
        (least, most) if least == most => {
            let again = match work {
                Work::Once => "",
                Work::Again => " back and up again",
            };
            format!(
                "{}{each}{again}",
                human::count(most, "migration", "migrations")
            )
        }
        (least, most) => format!("{least} to {most} migrations each"),
    }
}
