//! The report for programs.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::Serialize;

use super::{Retry, settled};
use crate::{
    apply::Failure,
    fleet::Fleet,
    migration::{Direction, Problem, Scope, Version},
    plan::Refusal,
    telemetry::NoticeLevel,
    tenant::{ShardName, Target},
    travel::{Blocked, FailureGroup, NoticeGroup, Report, ScopeReport, Why},
};

#[derive(Serialize)]
pub(super) struct ReportJson<'a> {
    complete: bool,
    stopped: bool,
    suspended: usize,
    scopes: Vec<ScopeJson<'a>>,
    unwell: Vec<UnwellJson>,
    warnings: Vec<ProblemJson<'a>>,
    /// What to type for what failed; none where nothing has, or where it would have to name too many tenants.
    retry: Option<String>,
    /// Why the file of the events ends before the run; absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_lost: Option<String>,
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
    notices: Vec<NoticeJson<'a>>,
}

/// The same message of the server, everywhere it was said.
#[derive(Serialize)]
struct NoticeJson<'a> {
    count: usize,
    level: NoticeLevel,
    version: Option<Version>,
    name: &'a str,
    direction: Direction,
    message: &'a str,
    times: u64,
    targets: Vec<TargetJson<'a>>,
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

/// A shard that cannot be worked on, or no longer.
#[derive(Serialize)]
pub(in crate::cli) struct UnwellJson {
    shard: String,
    message: String,
}

/// Shards that cannot be worked on, by name, each once.
pub(in crate::cli) fn unwell<'a>(
    shards: impl IntoIterator<Item = (&'a ShardName, &'a Arc<str>)>,
) -> Vec<UnwellJson> {
    let shards: BTreeMap<_, _> = shards.into_iter().collect();
    let one = |(shard, why): (&ShardName, &Arc<str>)| UnwellJson {
        shard: shard.to_string(),
        message: why.to_string(),
    };
    shards.into_iter().map(one).collect()
}

/// The shards because of which targets were left out.
pub(in crate::cli) fn away<'a>(blocked: impl IntoIterator<Item = &'a Blocked>) -> Vec<UnwellJson> {
    let shards = blocked
        .into_iter()
        .filter_map(|blocked| match &blocked.why {
            Why::Unreachable(why) => Some((&blocked.target.shard, why)),
            _ => None,
        });
    unwell(shards)
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
    events_lost: Option<String>,
) -> ReportJson<'a> {
    // Nothing is begun behind a scope in which something failed.
    let failures = report.scopes.iter().flat_map(ScopeReport::failures);
    let failed: Vec<_> = failures.map(|(target, _)| target).collect();
    let unwell: BTreeMap<_, _> = report.scopes.iter().flat_map(ScopeReport::unwell).collect();
    ReportJson {
        complete: report.is_complete(),
        stopped: report.stopped,
        suspended: report.suspended,
        scopes: report.scopes.iter().map(scope).collect(),
        unwell: self::unwell(unwell.iter().map(|(shard, why)| (*shard, why))),
        warnings: settled(report, fleet).into_iter().map(problem).collect(),
        events_lost,
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
        notices: scope.notice_groups().iter().map(notice).collect(),
    }
}

fn notice<'a>(group: &NoticeGroup<'a>) -> NoticeJson<'a> {
    let example = group.example;
    NoticeJson {
        count: group.targets.len(),
        level: example.level,
        version: example.version,
        name: &example.name,
        direction: example.direction,
        message: &example.message,
        times: group.times,
        targets: group.targets.iter().map(|t| target(t)).collect(),
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
            Why::MovedSince => "moved_since",
            Why::Unreachable(_) => "unreachable",
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
