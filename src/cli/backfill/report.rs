//! What a run of a backfill has come to.

use serde::Serialize;

use crate::{
    backfill::{Definition, Report},
    cli::{
        error::of_fault,
        exit::ExitCode,
        human,
        output::Output,
        paint::Paint,
        report::{
            away_lines, blocked_lines, failures,
            json::{self, BlockedJson, GroupJson, UnwellJson},
            of_blocked, of_some, worst,
        },
        trip::targets,
    },
    fleet::Fleet,
    migration::Scope,
};

#[derive(Serialize)]
struct ReportJson<'a> {
    backfill: &'a str,
    complete: bool,
    stopped: bool,
    /// Tenants whose rows are all done, in this run or before.
    done: usize,
    failed: usize,
    not_started: usize,
    /// Rows of the batches that this run committed.
    rows: u64,
    batches: u64,
    elapsed_ms: u64,
    failures: Vec<GroupJson<'a>>,
    blocked: Vec<BlockedJson<'a>>,
    unwell: Vec<UnwellJson>,
}

/// Shows the report: what was done to standard output, what is wrong to standard error.
pub(super) fn show(report: &Report, definition: &Definition, fleet: &Fleet, output: &Output) {
    let groups = report.failure_groups();
    let json = ReportJson {
        backfill: &definition.name,
        complete: report.is_complete(),
        stopped: report.stopped,
        done: report.done(),
        failed: report.failures().count(),
        not_started: report.not_started(),
        rows: report.rows(),
        batches: report.runs.iter().map(|run| run.batches).sum(),
        elapsed_ms: u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        failures: groups.iter().map(json::group).collect(),
        blocked: report.blocked.iter().map(json::blocked).collect(),
        unwell: json::away(&report.blocked),
    };
    output.result(&json, |paint| line(report, definition, paint));
    failures::tell(&groups, Scope::Tenant, fleet, output);
    let away = away_lines(&report.blocked);
    for line in away
        .into_iter()
        .chain(blocked_lines(&report.blocked, fleet))
    {
        output.error(&line);
    }
    if !report.is_complete() {
        let name = &definition.name;
        let again = format!("`tenantry backfill start {name}` goes on where each tenant stands");
        output.note(&format!("batches that were committed stay; {again}"));
    }
}

/// How the process should end.
pub(super) fn exit_code(report: &Report) -> ExitCode {
    if report.stopped && !report.is_complete() {
        return ExitCode::Interrupted;
    }
    let failed = report
        .failures()
        .map(|(_, failure)| of_fault(failure.fault));
    let blocked = report.blocked.iter().map(of_blocked);
    let worst = worst(failed.chain(blocked), report.is_complete());
    of_some(worst, report.done() > 0)
}

fn line(report: &Report, definition: &Definition, paint: Paint) -> String {
    let rows = usize::try_from(report.rows()).unwrap_or(usize::MAX);
    let (done, all) = (report.done(), report.runs.len());
    if all == 0 {
        return format!("{}: no tenants to go over", definition.name);
    }
    let whom = if done == all {
        paint.good(format!("{} done", targets(Scope::Tenant, done)))
    } else {
        let of = targets(Scope::Tenant, all);
        format!("{} of {of} done", human::number(done))
    };
    if rows == 0 {
        return format!("{}: {whom}; no rows were left to do", definition.name);
    }
    format!(
        "{}: {whom}, {} in {} ({})",
        definition.name,
        human::count(rows, "row", "rows"),
        human::duration(report.elapsed),
        human::rate(rows, report.elapsed),
    )
}
