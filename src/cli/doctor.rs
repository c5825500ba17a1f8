//! `doctor`: what is wrong with the databases, why it matters, and what mends it.

use clap::Args;
use serde::Serialize;

use super::{context::Context, error::CliError, exit::ExitCode, human, paint::Paint};
use crate::{
    doctor::{Examination, Examined, Finding, Severity, examine},
    fleet::Fleet,
};

/// What `doctor` takes.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Also show what is as it should be
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Examinations<'a> {
    #[serde(flatten)]
    examination: &'a Examination,
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Doctor {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        // Databases can be looked at when the files are gone.
        let fleet = Fleet::without_files(&settings)?;
        let examination = examine(&fleet).await;
        let result = Examinations {
            examination: &examination,
            errors: examination.count(Severity::Error),
            warnings: examination.count(Severity::Warning),
            notes: examination.count(Severity::Note),
        };
        context
            .output
            .result(&result, |paint| self.text(&result, paint));
        Ok(if !examination.reached_any() {
            ExitCode::Unreachable
        } else if result.errors > 0 {
            ExitCode::Failed
        } else {
            ExitCode::Done
        })
    }

    fn text(&self, result: &Examinations<'_>, paint: Paint) -> String {
        let examination = result.examination;
        let mut blocks: Vec<_> = examination
            .databases
            .iter()
            .map(|database| self.database(database, &examination.findings, paint))
            .collect();
        blocks.push(summary(result, paint));
        blocks.join("\n\n")
    }

    fn database(&self, database: &Examined, findings: &[Finding], paint: Paint) -> String {
        let mut findings: Vec<_> = findings
            .iter()
            .filter(|finding| finding.database == database.name)
            .collect();
        let is_ok = |finding: &&Finding| finding.severity == Severity::Ok;
        let well = findings.iter().filter(|f| is_ok(f)).count();
        if !self.all {
            findings.retain(|finding| !is_ok(finding));
        }
        // What is worst is told first.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let mut lines = vec![heading(database, paint)];
        lines.extend(findings.iter().map(|finding| entry(finding, paint)));
        if !self.all && well > 0 {
            let well = human::count(well, "check is well", "checks are well");
            lines.push(format!("  {}       {well}", paint.good("ok")));
        }
        lines.join("\n")
    }
}

fn heading(database: &Examined, paint: Paint) -> String {
    let kind = match (database.home, database.shard) {
        (true, true) => "the home database and a shard",
        (true, false) => "the home database",
        _ => "a shard",
    };
    let version = match &database.version {
        Some(version) => format!("PostgreSQL {version}"),
        None => "no answer".to_owned(),
    };
    format!("{} ({kind}, {version})", paint.strong(&database.name))
}

/// One finding: what was found, and below it why that matters and what mends it.
fn entry(finding: &Finding, paint: Paint) -> String {
    // Padded before it is painted: escapes have no width.
    let severity = format!("{:<8}", finding.severity.to_string());
    let severity = match finding.severity {
        Severity::Ok => paint.good(severity),
        Severity::Note => paint.strong(severity),
        Severity::Warning => paint.caution(severity),
        Severity::Error => paint.bad(severity),
    };
    let mut text = format!("  {severity} {}: {}", finding.check, finding.value);
    if finding.severity != Severity::Ok {
        text += &format!("\n           {}", paint.faint(finding.why));
    }
    if let Some(remedy) = &finding.remedy {
        text += &format!("\n           → {remedy}");
    }
    text
}

fn summary(result: &Examinations<'_>, paint: Paint) -> String {
    let Examinations {
        errors,
        warnings,
        notes,
        ..
    } = *result;
    let counts: Vec<_> = [
        (errors, "error", "errors"),
        (warnings, "warning", "warnings"),
        (notes, "note", "notes"),
    ]
    .into_iter()
    .filter(|(count, _, _)| *count > 0)
    .map(|(count, one, many)| human::count(count, one, many))
    .collect();
    if counts.is_empty() {
        return paint.good("everything is well");
    }
    let counts = counts.join(", ");
    if errors > 0 {
        paint.bad(counts)
    } else {
        counts
    }
}
