//! What was proven, for people.

use crate::{
    cli::{human, paint::Paint},
    migration::Scope,
    verify::{Proof, Report, ScopeReport, Verdict},
};

/// One line of a proof, and what was found below it; before the first one of a scope, its heading.
pub(super) fn proof(heading: Option<Scope>, proof: &Proof, paint: Paint) -> String {
    let mut lines = Vec::new();
    lines.extend(heading.map(|scope| paint.strong(set(scope))));
    let name = match proof.version {
        Some(version) => format!("{version} {}", proof.name),
        None => proof.name.clone(),
    };
    lines.push(match proof.verdict {
        Verdict::Exact => format!("  {} {name}", paint.good("✓")),
        Verdict::Irreversible => format!("  {} {name}: irreversible, up only", paint.faint("–")),
        Verdict::NotJudged => format!("  {} {name}: not judged", paint.faint("–")),
        Verdict::NotTried => format!("  {} {name}: not tried", paint.caution("?")),
        verdict => format!("  {} {name}: {verdict}", paint.bad("✗")),
    });
    for finding in &proof.findings {
        let finding = finding.to_string();
        lines.extend(finding.lines().map(|line| format!("      {line}")));
    }
    let notes = proof.notes();
    lines.extend(notes.map(|note| format!("      {}", paint.faint(note))));
    lines.join("\n")
}

/// Whether people want to read of it by itself: of paths only those that do not lead where they should.
pub(super) fn is_shown(proof: &Proof) -> bool {
    proof.version.is_some() || !proof.is_ok() || !proof.is_path
}

/// What it comes to, a line a scope.
pub(super) fn summary(report: &Report, paint: Paint) -> String {
    let lines: Vec<_> = report
        .scopes
        .iter()
        .map(|scope| line(scope, paint))
        .collect();
    format!("\n{}", lines.join("\n"))
}

fn line(scope: &ScopeReport, paint: Paint) -> String {
    if let Some(outcome) = &scope.not_begun {
        let head = paint.bad(format!("{}: not tried", set(scope.scope)));
        return format!("{head}, as the shared set does not come up: {outcome}");
    }
    let count = |verdict, words: &str| match scope.count(verdict) {
        0 => None,
        count => Some(format!("{} {words}", human::number(count))),
    };
    let counts: Vec<_> = [
        count(Verdict::Exact, "exact"),
        count(Verdict::Irreversible, "irreversible"),
        count(Verdict::Differs, "with another structure"),
        count(Verdict::Fails, "failing"),
        count(Verdict::FailsOnRows, "failing where tables have rows"),
        count(Verdict::LosesRows, "losing rows"),
        count(Verdict::Refused, "refused"),
        count(Verdict::NotTried, "not tried"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let head = format!("{}:", set(scope.scope));
    let head = if scope.is_ok() {
        paint.good(head)
    } else {
        paint.bad(head)
    };
    let migrations = human::count(scope.migrations.len(), "migration", "migrations");
    let mut line = match &counts[..] {
        [] => format!("{head} {migrations}"),
        counts => format!("{head} {migrations}, {}", counts.join(", ")),
    };
    line.push_str(&remarks(scope));
    if let Some(rows) = &scope.rows {
        let tables = human::count(rows.tables, "table", "tables");
        line += &format!("\n  rows in {tables}");
        for table in &rows.not_seeded {
            line += &format!("\n  not seeded: {table}");
        }
    }
    for version in &scope.older_faults {
        line += &format!("\n  not judged, and its way back is faulty: {version}");
    }
    for file in &scope.deleted {
        line += &format!("\n  deleted: {file}");
    }
    line
}

/// What the whole set's way back did not reach.
fn remarks(scope: &ScopeReport) -> String {
    let mut remarks = String::new();
    if let Some(version) = scope.back_to {
        let why = match scope.older_faults.contains(&version) {
            true => "whose own way back is faulty",
            false => "which is irreversible",
        };
        remarks += &format!("; taken back to {version}, {why}");
    }
    if scope.taken_for_granted > 0 {
        let them = human::count(scope.taken_for_granted, "older one", "older ones");
        remarks += &format!("; {them} taken for granted");
    }
    if !scope.paths.is_empty() {
        let sound = scope.paths.iter().filter(|path| path.is_ok()).count();
        let all = human::count(scope.paths.len(), "path", "paths");
        remarks += &match scope.paths.len() - sound {
            0 => format!("; {all} of several at once"),
            wrong => format!("; {all} of several at once, {} wrong", human::number(wrong)),
        };
    }
    if let Some(reason) = &scope.paths_left_out {
        remarks += &format!("; paths of several at once not tried: {reason}");
    }
    if scope.whole.is_some() && scope.left_in_place > 0 {
        let them = human::count(scope.left_in_place, "repeatable stays", "repeatables stay");
        remarks += &format!("; {them} on the way back");
    }
    remarks
}

fn set(scope: Scope) -> &'static str {
    match scope {
        Scope::Shared => "shared set",
        Scope::Tenant => "tenants' set",
    }
}
