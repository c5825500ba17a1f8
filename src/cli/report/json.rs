//! The report for programs.

use std::path::Path;

use serde::Serialize;

use super::{Retry, settled};
use crate::{
    apply::Failure,
    fleet::Fleet,
    migration::{Problem, Scope},
    plan::Refusal,
    rollout::{Blocked, FailureGroup, Report, ScopeReport, Why},
    tenant::Target,
};

#[derive(Serialize)]
pub(super) struct ReportJson<'a> {
    complete: bool,
    stopped: bool,
    scopes: Vec<ScopeJson<'a>>,
    warnings: Vec<ProblemJson<'a>>,
    /// What to type for what failed; none where nothing has, or where it would have to name too many tenants.
    retry: Option<String>,
}

#[derive(Serialize)]
struct ScopeJson<'a> {
    scope: Scope,
    moved: usize,
    current: usize,
    failed: usize,
    not_started: usize,
    migrations: usize,
    repeatables_left: usize,
    elapsed_ms: u64,
    failures: Vec<GroupJson<'a>>,
    refusals: Vec<RefusalJson<'a>>,
    blocked: Vec<BlockedJson<'a>>,
}

/// Failures that are told together.
#[derive(Serialize)]
pub(in crate::cli) struct GroupJson<'a> {
    count: usize,
    /// The first of them.
    example: &'a Failure,
    targets: Vec<TargetJson<'a>>,
}

#[derive(Serialize)]
pub(in crate::cli) struct RefusalJson<'a> {
    kind: &'static str,
    message: String,
    holds_up: usize,
    problems: Vec<ProblemJson<'a>>,
}

#[derive(Serialize)]
pub(in crate::cli) struct BlockedJson<'a> {
    target: TargetJson<'a>,
    kind: &'static str,
    message: String,
}

#[derive(Serialize)]
pub(in crate::cli) struct TargetJson<'a> {
    shard: &'a str,
    schema: &'a str,
}

#[derive(Serialize)]
pub(in crate::cli) struct ProblemJson<'a> {
    code: &'static str,
    message: &'a str,
    path: &'a Path,
    line: Option<usize>,
    column: Option<usize>,
    help: &'static str,
}

/// All of the report.
pub(super) fn report<'a>(
    report: &'a Report,
    fleet: &'a Fleet,
    retry: &Retry<'_>,
) -> ReportJson<'a> {
    // Nothing is begun behind a scope in which something failed.
    let failures = report.scopes.iter().flat_map(ScopeReport::failures);
    let failed: Vec<_> = failures.map(|(target, _)| target).collect();
    ReportJson {
        complete: report.is_complete(),
        stopped: report.stopped,
        scopes: report.scopes.iter().map(scope).collect(),
        warnings: settled(report, fleet).into_iter().map(problem).collect(),
        retry: (!failed.is_empty()).then(|| retry.typed(&failed)).flatten(),
    }
}

fn scope(scope: &ScopeReport) -> ScopeJson<'_> {
    let refusals = scope.refusals.iter();
    ScopeJson {
        scope: scope.scope,
        moved: scope.done(),
        current: scope.current,
        failed: scope.failures().count(),
        not_started: scope.not_started(),
        migrations: scope.migrations(),
        repeatables_left: scope.left_in_place,
        elapsed_ms: u64::try_from(scope.elapsed.as_millis()).unwrap_or(u64::MAX),
        failures: scope.failure_groups().iter().map(group).collect(),
        refusals: refusals.map(|(why, count)| refusal(why, *count)).collect(),
        blocked: scope.blocked.iter().map(blocked).collect(),
    }
}

pub(in crate::cli) fn group<'a>(group: &FailureGroup<'a>) -> GroupJson<'a> {
    GroupJson {
        count: group.targets.len(),
        example: group.example,
        targets: group.targets.iter().map(|t| target(t)).collect(),
    }
}

pub(in crate::cli) fn refusal(refusal: &Refusal, holds_up: usize) -> RefusalJson<'_> {
    let problems = match refusal {
        Refusal::Problems(problems) => problems.as_slice(),
        _ => &[],
    };
    RefusalJson {
        kind: refusal_kind(refusal),
        message: refusal.to_string(),
        holds_up,
        problems: problems.iter().map(problem).collect(),
    }
}

/// The stable word for a refusal.
fn refusal_kind(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownVersion(_) => "unknown_version",
        Refusal::Changed { .. } => "changed",
        Refusal::OutOfOrder { .. } => "out_of_order",
        Refusal::HasHistory { .. } => "has_history",
        Refusal::Irreversible { .. } => "irreversible",
        Refusal::LostText { .. } => "lost_text",
        Refusal::Unfinished(_) => "unfinished",
        Refusal::Problems(_) => "problems",
    }
}

pub(in crate::cli) fn blocked(blocked: &Blocked) -> BlockedJson<'_> {
    BlockedJson {
        target: target(&blocked.target),
        kind: match blocked.why {
            Why::Dirty(..) => "dirty",
            Why::Unfinished(..) => "unfinished",
            Why::Gone | Why::SharedGone => "gone",
            Why::Renamed(_) => "renamed",
            Why::Unknown => "unknown",
            Why::Unmade => "unmade",
        },
        message: blocked.why.to_string(),
    }
}

pub(in crate::cli) fn target(target: &Target) -> TargetJson<'_> {
    TargetJson {
        shard: target.shard.as_str(),
        schema: target.schema.as_str(),
    }
}

pub(in crate::cli) fn problem(problem: &Problem) -> ProblemJson<'_> {
    let position = problem.position();
    ProblemJson {
        code: problem.code.id,
        message: &problem.what,
        path: &problem.path,
        line: position.map(|position| position.line),
        column: position.map(|position| position.column),
        help: problem.code.help,
    }
}
