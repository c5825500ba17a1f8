//! `repair`: looks at the record and says what is wrong; with an option, mends it.

use clap::Args;
use serde::Serialize;

use super::{
    ask,
    context::Context,
    correction::{carry_out, chosen},
    error::CliError,
    exit::ExitCode,
    human,
    paint::Paint,
    selection::Selection,
};
use crate::{
    fleet::{Fleet, FleetError},
    migration::{Scope, Version},
    plan::Correction,
    rollout::{Finding, StoredTexts, Survey, diagnose, stored_texts},
};

/// What `repair` takes.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("remedy").args(["accept_checksum", "restore", "clear_dirty"]))]
pub(super) struct Repair {
    /// Take the text that the file of this version has now as the one that was applied
    #[arg(long, value_name = "VERSION")]
    accept_checksum: Option<Version>,
    /// Show the texts of this version as they were applied
    #[arg(long, value_name = "VERSION")]
    restore: Option<Version>,
    /// Take the dirty mark away: the schemas stand where their history says [default: of all]
    #[arg(long, value_name = "SELECTOR", num_args = 0..=1)]
    clear_dirty: Option<Option<String>>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Repair {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let survey = Survey::take(&fleet).await?;
        if let Some(version) = self.restore {
            return restore(context, &fleet, &survey, version).await;
        }
        if let Some(version) = self.accept_checksum {
            return accept(context, &fleet, &survey, version).await;
        }
        match &self.clear_dirty {
            Some(selector) => {
                self.clear(context, &fleet, &survey, selector.as_deref())
                    .await
            }
            None => look(context, &fleet, &survey).await,
        }
    }

    async fn clear(
        &self,
        context: &Context<'_>,
        fleet: &Fleet,
        survey: &Survey,
        selector: Option<&str>,
    ) -> Result<ExitCode, CliError> {
        let selection = Selection::of(survey, selector, context.output)?;
        let scopes = [Scope::Shared, Scope::Tenant].map(|scope| {
            let mut targets = chosen(survey, scope, &selection);
            targets.retain(|s| s.pinned.as_ref().is_some_and(|p| p.head.dirty.is_some()));
            // The shared schema has no name that a selector could mean.
            targets.retain(|_| scope == Scope::Tenant || selector.is_none());
            (scope, targets)
        });
        let mut about = String::from(
            "These stand where their history says, and nothing is left of what stopped half-way:",
        );
        for standing in scopes.iter().flat_map(|(_, targets)| targets) {
            let head = standing.pinned.as_ref().map(|pinned| &pinned.head);
            let version = |v: Option<Version>| {
                v.map_or_else(|| "nothing applied".to_owned(), |v| v.to_string())
            };
            about.push_str(&format!(
                "\n  {}: at {}, stopped at {}",
                standing.target,
                version(head.and_then(|head| head.version)),
                version(head.and_then(|head| head.dirty)),
            ));
        }
        let any = scopes.iter().any(|(_, targets)| !targets.is_empty());
        if any && !self.yes && !ask::go_on(context.output, &about)? {
            return Ok(ExitCode::Failed);
        }
        carry_out(context, fleet, &scopes, Correction::Clear).await
    }
}

/// The new text for every schema that has another one, in whichever sets have the version.
async fn accept(
    context: &Context<'_>,
    fleet: &Fleet,
    survey: &Survey,
    version: Version,
) -> Result<ExitCode, CliError> {
    let all = Selection::of(survey, None, context.output)?;
    let scopes: Vec<_> = [Scope::Shared, Scope::Tenant]
        .into_iter()
        .filter(|scope| fleet.set(*scope).get(version).is_some())
        .map(|scope| (scope, chosen(survey, scope, &all)))
        .collect();
    if scopes.is_empty() {
        return Err(FleetError::UnknownVersion(version).into());
    }
    carry_out(context, fleet, &scopes, Correction::Accept(version)).await
}

#[derive(Serialize)]
struct Restored<'a> {
    version: Version,
    texts: Vec<RestoredText<'a>>,
}

#[derive(Serialize)]
struct RestoredText<'a> {
    scope: Scope,
    name: &'a str,
    targets: usize,
    up_checksum: String,
    up: Option<&'a str>,
    down_checksum: Option<String>,
    down: Option<&'a str>,
}

async fn restore(
    context: &Context<'_>,
    fleet: &Fleet,
    survey: &Survey,
    version: Version,
) -> Result<ExitCode, CliError> {
    let texts = stored_texts(fleet, survey, version).await?;
    if texts.is_empty() {
        let message = format!("{version} is applied nowhere: there is no text of it");
        return Err(CliError::Usage(message));
    }
    let restored = Restored {
        version,
        texts: texts.iter().map(restored_text).collect(),
    };
    context.output.result(&restored, |paint| {
        let texts: Vec<_> = texts.iter().map(|texts| text(texts, paint)).collect();
        texts.join("\n")
    });
    Ok(ExitCode::Done)
}

fn restored_text(texts: &StoredTexts) -> RestoredText<'_> {
    RestoredText {
        scope: texts.scope,
        name: &texts.applied.name,
        targets: texts.targets,
        up_checksum: texts.applied.up.to_string(),
        up: texts.up.as_deref(),
        down_checksum: texts.applied.down.map(|down| down.to_string()),
        down: texts.down.as_deref(),
    }
}

/// Headed by comments, so that the whole of it is SQL still.
fn text(texts: &StoredTexts, paint: Paint) -> String {
    let (applied, mut lines) = (&texts.applied, String::new());
    let whom = human::count(texts.targets, "schema", "schemas");
    for (direction, checksum, text) in [
        ("up", Some(applied.up), &texts.up),
        ("down", applied.down, &texts.down),
    ] {
        let Some(checksum) = checksum else { continue };
        let heading = format!(
            "-- {}-{}.{direction}.sql ({} scope, {whom}, checksum {})",
            applied.version,
            applied.name,
            texts.scope,
            checksum.short()
        );
        let body = text
            .as_deref()
            .unwrap_or("-- missing from tenantry.scripts");
        lines.push_str(&format!("{}\n{}\n", paint.faint(heading), body.trim_end()));
    }
    lines
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
    targets: Vec<String>,
}

async fn look(context: &Context<'_>, fleet: &Fleet, survey: &Survey) -> Result<ExitCode, CliError> {
    let findings = diagnose(fleet, survey).await?;
    let look = Look {
        findings: findings
            .iter()
            .map(|finding| LookFinding {
                scope: finding.scope,
                kind: finding.wrong.kind(),
                wrong: finding.wrong.to_string(),
                remedy: finding.wrong.remedy(),
                targets: finding.targets.iter().map(ToString::to_string).collect(),
            })
            .collect(),
    };
    context.output.result(&look, |paint| {
        if findings.is_empty() {
            return "nothing is wrong with the record".to_owned();
        }
        let texts: Vec<_> = findings.iter().map(|f| finding_text(f, paint)).collect();
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

/// So many targets are named for each thing that is wrong.
const EXAMPLES: usize = 3;

fn finding_text(finding: &Finding, paint: Paint) -> String {
    let examples: Vec<_> = finding
        .targets
        .iter()
        .take(EXAMPLES)
        .map(ToString::to_string)
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
