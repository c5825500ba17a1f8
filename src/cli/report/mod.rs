//! What a run over the fleet has come to, for people and for programs.

pub(super) mod failures;
pub(super) mod json;
mod notices;
mod retry;
mod snippet;
mod summary;

pub(super) use retry::{Retry, for_shell};
pub(super) use snippet::render as excerpt;
pub(super) use summary::Work;

use std::collections::BTreeMap;

use super::{
    error::{of_fault, of_refusal},
    exit::ExitCode,
    human,
    output::Output,
    trip::targets,
};
use crate::{
    fleet::Fleet,
    migration::{Problem, Severity},
    plan::Refusal,
    tenant::{ShardName, Target},
    travel::{Blocked, Report, ScopeReport, Why},
};

/// So many of a kind are shown one by one.
const SHOWN: usize = 10;

/// So many warnings are shown whole.
const WARNINGS: usize = 3;

/// Shows the report: what was done to standard output, what is wrong to standard error.
pub(super) fn show(
    report: &Report,
    fleet: &Fleet,
    retry: &Retry<'_>,
    events_lost: Option<String>,
    output: &Output,
) {
    let json = json::report(report, fleet, retry, events_lost);
    output.result(&json, |paint| {
        summary::lines(report, fleet, retry.work, paint).join("\n")
    });
    notices::show(report, fleet, output);
    for scope in &report.scopes {
        for (refusal, count) in merged(&scope.refusals) {
            refused(refusal, &targets(scope.scope, count), output);
        }
        failures::show(scope, report.stopped, fleet, retry, output);
        for line in blocked_lines(&scope.blocked, fleet) {
            output.error(&line);
        }
        if scope.left_in_place > 0 && scope.migrations() > 0 {
            output.note(&left_in_place(scope.left_in_place));
        }
    }
    // Whoever names tenants is told of each of them before.
    if report.suspended > 0 && retry.selector.is_none() {
        let note = match report.suspended {
            1 => "1 tenant is suspended and stays where it is".to_owned(),
            many => format!(
                "{} tenants are suspended and stay where they are",
                human::number(many)
            ),
        };
        output.note(&format!(
            "{note} (`tenantry tenant list` shows which, `tenantry tenant resume` takes back)"
        ));
    }
    for line in away_lines(report.scopes.iter().flat_map(|scope| &scope.blocked)) {
        output.error(&line);
    }
    warnings(report, fleet, output);
}

/// How the process should end.
pub(super) fn exit_code(report: &Report) -> ExitCode {
    if report.stopped {
        return ExitCode::Interrupted;
    }
    let scopes = || report.scopes.iter();
    if let Some((refusal, _)) = scopes().flat_map(|scope| &scope.refusals).next() {
        return of_refusal(refusal);
    }
    let failures = scopes().flat_map(|scope| scope.failures());
    let failed = failures.map(|(_, failure)| of_fault(failure.fault));
    let blocked = scopes().flat_map(|scope| &scope.blocked);
    let blocked = blocked.map(of_blocked);
    // Nothing failed, and yet there may be targets that were not begun.
    let worst = worst(failed.chain(blocked), report.is_complete());
    let reached = |scope: &ScopeReport| scope.done() + scope.current > 0;
    of_some(worst, scopes().any(reached))
}

/// That nothing can be reached is told only where nothing was.
pub(super) fn of_some(worst: ExitCode, reached: bool) -> ExitCode {
    match worst {
        ExitCode::Unreachable if reached => ExitCode::Failed,
        worst => worst,
    }
}

/// The code that is told when several things are wrong; when none is, whether all is done decides.
pub(super) fn worst(codes: impl Iterator<Item = ExitCode>, complete: bool) -> ExitCode {
    codes
        .min_by_key(|code| weight(*code))
        .unwrap_or(if complete {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
}

/// What a target that was left out makes of the process.
pub(super) fn of_blocked(blocked: &Blocked) -> ExitCode {
    match blocked.why {
        Why::Dirty(..) => ExitCode::Dirty,
        _ => ExitCode::Failed,
    }
}

/// What is told first when several things are wrong: that something failed, and last that somebody was busy.
fn weight(code: ExitCode) -> usize {
    let order = [ExitCode::Failed, ExitCode::Dirty, ExitCode::Unreachable];
    let others = order.len() + usize::from(code == ExitCode::Busy);
    order
        .iter()
        .position(|first| *first == code)
        .unwrap_or(others)
}

/// Each refusal once: cohorts are often refused for the same reason.
fn merged(refusals: &[(Refusal, usize)]) -> Vec<(&Refusal, usize)> {
    let mut merged: Vec<(&Refusal, usize)> = Vec::new();
    for (refusal, count) in refusals {
        match merged.iter_mut().find(|(known, _)| *known == refusal) {
            Some((_, sum)) => *sum += count,
            None => merged.push((refusal, *count)),
        }
    }
    merged
}

pub(super) fn refused(refusal: &Refusal, whom: &str, output: &Output) {
    if let Refusal::Problems(problems) = refusal {
        for problem in problems {
            output.problem(problem, Severity::Error);
        }
    }
    output.error(&format!("{refusal}\n(holds up {whom})"));
}

/// What is in the way of targets that have no plan: the first of them, and how many more there are. Those whose shard is
/// away are told of by [`away_lines`].
pub(super) fn blocked_lines(blocked: &[Blocked], fleet: &Fleet) -> Vec<String> {
    let line = |blocked: &&Blocked| {
        format!(
            "{} is left out: {}",
            name(&blocked.target, fleet),
            blocked.why
        )
    };
    let others: Vec<_> = blocked.iter().filter(|b| !is_away(b)).collect();
    let mut lines: Vec<_> = others.iter().take(SHOWN).map(line).collect();
    if others.len() > SHOWN {
        lines.push(format!("{} more are left out", others.len() - SHOWN));
    }
    lines
}

fn is_away(blocked: &Blocked) -> bool {
    matches!(blocked.why, Why::Unreachable(_))
}

/// One line a shard that cannot be worked on: the same is in the way of everybody on it.
pub(super) fn away_lines<'a>(blocked: impl IntoIterator<Item = &'a Blocked>) -> Vec<String> {
    let mut shards: BTreeMap<&ShardName, (&Why, usize)> = BTreeMap::new();
    for blocked in blocked.into_iter().filter(|b| is_away(b)) {
        let (_, count) = shards
            .entry(&blocked.target.shard)
            .or_insert((&blocked.why, 0));
        *count += 1;
    }
    let line = |(shard, (why, count)): (&ShardName, (&Why, usize))| {
        let schemas = human::count(count, "schema on it is", "schemas on it are");
        let Why::Unreachable(said) = why else {
            return why.to_string();
        };
        format!("shard {shard} cannot be worked on, and {schemas} left out: {said}")
    };
    shards.into_iter().map(line).collect()
}

/// What is wrong with files that are not pending stops nobody, but should be known.
fn warnings(report: &Report, fleet: &Fleet, output: &Output) {
    let found = settled(report, fleet);
    if output.is_quiet() {
        return;
    }
    for problem in found.iter().take(WARNINGS) {
        output.problem(problem, Severity::Warning);
    }
    if found.len() > WARNINGS {
        output.warning(&format!(
            "{} more of these; --output json has them all",
            found.len() - WARNINGS
        ));
    }
}

/// The problems of the moved sets that refused nothing.
fn settled<'a>(report: &Report, fleet: &'a Fleet) -> Vec<&'a Problem> {
    let refused: Vec<_> = report
        .scopes
        .iter()
        .flat_map(|scope| &scope.refusals)
        .filter_map(|(refusal, _)| match refusal {
            Refusal::Problems(problems) => Some(problems),
            _ => None,
        })
        .flatten()
        .collect();
    let moved = report.scopes.iter().map(|scope| fleet.set(scope.scope));
    moved
        .flat_map(|set| set.problems())
        .filter(|problem| !refused.contains(problem))
        .collect()
}

fn left_in_place(count: usize) -> String {
    let them = human::count(count, "repeatable stays", "repeatables stay");
    format!("{them} as last applied: the way back does not touch functions and views")
}

/// A target's name: the schema's, and the shard's where there are several.
pub(super) fn name(target: &Target, fleet: &Fleet) -> String {
    if fleet.shards.iter().nth(1).is_some() {
        target.to_string()
    } else {
        target.schema.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        apply::Failure,
        migration::{Checksum, Scope, Version},
        postgres::{Fault, ServerError},
        sql::Ident,
        travel::{Ended, Run},
    };

    fn target() -> Target {
        Target {
            shard: ShardName::new("main"),
            schema: Ident::new("acme").unwrap(),
        }
    }

    fn report(faults: &[Fault]) -> Report {
        let run = |fault: &Fault| Run {
            target: target(),
            from: None,
            to: None,
            noticed: Vec::new(),
            migrations: 0,
            ended: Ended::Failed(Box::new(Failure::without_place(
                *fault,
                ServerError::local("no".to_owned()),
            ))),
        };
        Report {
            scopes: vec![ScopeReport {
                scope: Scope::Tenant,
                current: 0,
                runs: faults.iter().map(run).collect(),
                refusals: Vec::new(),
                blocked: Vec::new(),
                left_in_place: 0,
                elapsed: Duration::ZERO,
            }],
            stopped: false,
            suspended: 0,
        }
    }

    #[test]
    fn the_worst_that_happened_is_the_exit_code() {
        for (faults, code) in [
            (&[][..], ExitCode::Done),
            (&[Fault::Busy], ExitCode::Busy),
            (&[Fault::Busy, Fault::Tenant], ExitCode::Failed),
            (&[Fault::Connection, Fault::Busy], ExitCode::Unreachable),
            (&[Fault::Escaped, Fault::Connection], ExitCode::Dirty),
        ] {
            assert_eq!(exit_code(&report(faults)), code, "{faults:?}");
        }
    }

    #[test]
    fn unreachable_is_told_only_where_nothing_was_reached() {
        let mut report = report(&[Fault::Connection]);
        assert_eq!(exit_code(&report), ExitCode::Unreachable);
        report.scopes[0].current = 1;
        assert_eq!(exit_code(&report), ExitCode::Failed);
    }

    #[test]
    fn a_dirty_tenant_that_was_left_out_is_told() {
        let mut report = report(&[]);
        report.scopes[0].blocked.push(Blocked {
            target: target(),
            why: Why::Dirty(Version::new(3), None),
        });
        assert_eq!(exit_code(&report), ExitCode::Dirty);
        report.stopped = true;
        assert_eq!(exit_code(&report), ExitCode::Interrupted);
    }

    #[test]
    fn refusals_have_codes_of_their_own() {
        let changed = Refusal::Changed {
            version: Version::new(1),
            name: "users".to_owned(),
            applied: Checksum::of("a"),
            file: Checksum::of("b"),
        };
        for (refusal, code) in [
            (changed, ExitCode::Drift),
            (Refusal::Problems(Vec::new()), ExitCode::Configuration),
            (Refusal::UnknownVersion(Version::new(1)), ExitCode::Usage),
        ] {
            let mut report = report(&[]);
            report.scopes[0].refusals.push((refusal, 1));
            assert_eq!(exit_code(&report), code);
        }
    }
}
