//! What `force`, `baseline` and `repair` have in common: whose history is corrected, and what came of it.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::Serialize;

use super::{context::Context, error::CliError, exit::ExitCode, human, selection::Selection};
use crate::{
    fleet::Fleet,
    migration::Scope,
    plan::{Correction, Refusal},
    rollout::{Corrected, Standing, Survey, Why, record},
    tenant::TenantState,
};

/// Whose history is corrected.
#[derive(Debug, Args)]
pub(super) struct Whom {
    /// Which tenants: names, `a*`, `label:tier=free`, `shard:eu1`, `version<N`, `file:FILE`, joined by commas
    #[arg(conflicts_with = "all")]
    pub(super) selector: Option<String>,
    /// The whole fleet
    #[arg(long)]
    pub(super) all: bool,
    /// The shared schemas instead of the tenants
    #[arg(long, value_name = "SCOPE", value_parser = scope(), default_value = "tenant")]
    pub(super) scope: Scope,
}

impl Whom {
    /// Refuses to take everybody when nobody was named.
    pub(super) fn check(&self) -> Result<(), CliError> {
        let message = match (self.scope, &self.selector) {
            (Scope::Tenant, None) if !self.all => "name the tenants, or say --all",
            (Scope::Shared, Some(_)) => {
                "the shared schemas are not chosen from: leave the selector out"
            }
            _ => return Ok(()),
        };
        Err(CliError::Usage(message.to_owned()))
    }

    /// The targets, as `survey` finds them.
    pub(super) fn of<'a>(
        &self,
        survey: &'a Survey,
        context: &Context<'_>,
    ) -> Result<Vec<&'a Standing>, CliError> {
        let selection = Selection::of(survey, self.selector.as_deref(), context.output)?;
        Ok(chosen(survey, self.scope, &selection))
    }
}

/// Takes the name of a scope.
fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(["shared", "tenant"]).map(|word| match word.as_str() {
        "shared" => Scope::Shared,
        _ => Scope::Tenant,
    })
}

/// The targets of a scope that have a history to correct.
pub(super) fn chosen<'a>(
    survey: &'a Survey,
    scope: Scope,
    selection: &Selection,
) -> Vec<&'a Standing> {
    let stays = |standing: &&Standing| {
        let state = standing.tenant.as_ref().map(|tenant| tenant.state);
        state != Some(TenantState::Retiring) && selection.holds(standing)
    };
    match scope {
        Scope::Shared => survey
            .shared
            .iter()
            .filter(|s| s.pinned.is_some())
            .collect(),
        Scope::Tenant => survey.tenants.iter().filter(stays).collect(),
    }
}

/// Corrects the histories of `targets`, says what came of it, and how the process should end.
pub(super) async fn carry_out(
    context: &Context<'_>,
    fleet: &Fleet,
    scopes: &[(Scope, Vec<&Standing>)],
    correction: Correction,
) -> Result<ExitCode, CliError> {
    let mut results = Vec::new();
    for (scope, targets) in scopes {
        let targets = targets.iter().copied();
        results.push((*scope, record(fleet, *scope, targets, correction).await?));
    }
    let shown: Vec<_> = results
        .iter()
        .map(|(scope, result)| show(*scope, result))
        .collect();
    let output = context.output;
    for (_, result) in &results {
        for (refusal, count) in &result.refusals {
            let whom = human::count(*count, "target", "targets");
            output.error(&format!("{refusal} ({whom}); nothing was changed"));
        }
        for blocked in &result.blocked {
            output.error(&format!("{}: {}", blocked.target, blocked.why));
        }
        for target in &result.busy {
            output.error(&format!(
                "{target}: another session is at work on it; try again"
            ));
        }
        for target in &result.skipped {
            output.error(&format!(
                "{target}: moved by somebody else meanwhile; look again"
            ));
        }
    }
    output.result(&Scopes { scopes: &shown }, |_| {
        let lines: Vec<_> = shown.iter().map(Shown::line).collect();
        lines.join("\n")
    });
    Ok(results
        .iter()
        .map(|(_, result)| exit_code(result))
        .max_by_key(|code| severity(*code))
        .unwrap_or(ExitCode::Done))
}

#[derive(Serialize)]
struct Scopes<'a> {
    scopes: &'a [Shown],
}

#[derive(Serialize)]
struct Shown {
    scope: Scope,
    moved: usize,
    current: usize,
    busy: Vec<String>,
    skipped: Vec<String>,
    blocked: Vec<Left>,
    refused: Vec<Left>,
}

#[derive(Serialize)]
struct Left {
    targets: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    reason: String,
}

impl Shown {
    fn line(&self) -> String {
        let whom = match self.scope {
            Scope::Shared => human::count(self.moved, "shared schema", "shared schemas"),
            Scope::Tenant => human::count(self.moved, "tenant", "tenants"),
        };
        let left = self.busy.len() + self.skipped.len() + self.blocked.len();
        let left = left + self.refused.iter().map(|left| left.targets).sum::<usize>();
        let parts = [
            (self.current, "said so already"),
            (left, "left as they are"),
        ];
        let rest = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!(", {} {what}", human::number(count)));
        format!("history of {whom} corrected{}", rest.collect::<String>())
    }
}

fn show(scope: Scope, result: &Corrected) -> Shown {
    let names =
        |targets: &[crate::tenant::Target]| targets.iter().map(ToString::to_string).collect();
    Shown {
        scope,
        moved: result.moved.len(),
        current: result.current,
        busy: names(&result.busy),
        skipped: names(&result.skipped),
        blocked: result
            .blocked
            .iter()
            .map(|blocked| Left {
                targets: 1,
                target: Some(blocked.target.to_string()),
                reason: blocked.why.to_string(),
            })
            .collect(),
        refused: result
            .refusals
            .iter()
            .map(|(refusal, targets)| Left {
                targets: *targets,
                target: None,
                reason: refusal.to_string(),
            })
            .collect(),
    }
}

fn exit_code(result: &Corrected) -> ExitCode {
    let slip = |(refusal, _): &(Refusal, usize)| matches!(refusal, Refusal::UnknownVersion(_));
    if !result.refusals.is_empty() && result.refusals.iter().all(slip) {
        ExitCode::Usage
    } else if result.is_complete() {
        ExitCode::Done
    } else if result.is_only_busy() {
        ExitCode::Busy
    } else if result.refusals.is_empty()
        && result
            .blocked
            .iter()
            .all(|blocked| matches!(blocked.why, Why::Dirty(_)))
    {
        ExitCode::Dirty
    } else {
        ExitCode::Failed
    }
}

/// Busy is what is told only when nothing else is wrong.
fn severity(code: ExitCode) -> u8 {
    match code {
        ExitCode::Done => 0,
        ExitCode::Busy => 1,
        ExitCode::Dirty => 2,
        _ => 3,
    }
}
