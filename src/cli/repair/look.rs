//! What is wrong with the record, and the remedy for each.

use serde::Serialize;

use crate::{
    cli::{
        context::Context,
        error::CliError,
        exit::ExitCode,
        human,
        paint::Paint,
        report::{
            json::{self, TargetJson},
            name,
        },
    },
    fleet::Fleet,
    migration::Scope,
    travel::{Finding, Survey, diagnose},
};

/// Looks at the record, and says what is wrong with it and what to do about it.
pub(super) async fn look(
    context: &Context<'_>,
    fleet: &Fleet,
    survey: &Survey,
) -> Result<ExitCode, CliError> {
    let mut findings = diagnose(fleet, survey).await?;
    for finding in &mut findings {
        finding.targets.sort();
    }
    let look = Look {
        findings: findings
            .iter()
            .map(|finding| LookFinding {
                scope: finding.scope,
                kind: finding.wrong.kind(),
                wrong: finding.wrong.to_string(),
                remedy: finding.wrong.remedy(),
                targets: finding.targets.iter().map(json::target).collect(),
            })
            .collect(),
    };
    context.output.result(&look, |paint| {
        if findings.is_empty() {
            return "nothing is wrong with the record".to_owned();
        }
        let texts: Vec<_> = findings
            .iter()
            .map(|f| finding_text(f, fleet, paint))
            .collect();
        texts.join("\n\n")
    });
    let dirty = findings
        .iter()
        .any(|finding| finding.wrong.kind() == "dirty");
    Ok(match (findings.is_empty(), dirty) {
        (true, _) => ExitCode::Done,
        (_, true) => ExitCode::Dirty,
        _ => ExitCode::Drift,
    })
}

#[derive(Serialize)]
struct Look<'a> {
    findings: Vec<LookFinding<'a>>,
}

#[derive(Serialize)]
struct LookFinding<'a> {
    scope: Scope,
    kind: &'a str,
    wrong: String,
    remedy: String,
    targets: Vec<TargetJson<'a>>,
}

/// So many targets are named for each thing that is wrong.
const EXAMPLES: usize = 3;

fn finding_text(finding: &Finding, fleet: &Fleet, paint: Paint) -> String {
    let examples: Vec<_> = finding
        .targets
        .iter()
        .take(EXAMPLES)
        .map(|target| name(target, fleet))
        .collect();
    let more = match finding.targets.len().saturating_sub(EXAMPLES) {
        0 => String::new(),
        more => format!(" and {} more", human::number(more)),
    };
    format!(
        "{}\n  in: {}{more}\n  remedy: {}",
        paint.caution(finding.wrong.to_string()),
        examples.join(", "),
        finding.wrong.remedy()
    )
}
