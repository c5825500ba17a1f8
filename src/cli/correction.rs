//! What `force`, `baseline` and `repair` have in common: whose history is corrected, and what came of it.

use clap::Args;
use serde::Serialize;

use super::{
    context::Context,
    error::CliError,
    exit::ExitCode,
    human,
    output::Output,
    report::{
        away_lines,
        json::{self, BlockedJson, RefusalJson, TargetJson},
        name, of_blocked, worst,
    },
    selection::Selection,
    trip::{scope, targets, things},
};
use crate::{
    fleet::Fleet,
    migration::Scope,
    plan::{Correction, Refusal},
    tenant::TenantState,
    travel::{Corrected, Standing, Survey, Why, record},
};

/// Whose history is corrected.
#[derive(Debug, Args)]
pub(super) struct Whom {
    /// Which tenants, as for `up`
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
    for (_, result) in &results {
        tell(result, fleet, context.output);
    }
    let shown = ScopesJson {
        scopes: results.iter().map(|(s, result)| show(*s, result)).collect(),
    };
    context.output.result(&shown, |_| {
        let lines: Vec<_> = results.iter().map(|(s, result)| line(*s, result)).collect();
        lines.join("\n")
    });
    let codes = results.iter().flat_map(|(_, result)| codes(result));
    Ok(worst(codes, true))
}

/// Says what was not done, and why.
fn tell(result: &Corrected, fleet: &Fleet, output: &Output) {
    for (refusal, count) in &result.refusals {
        let whom = human::count(*count, "schema", "schemas");
        output.error(&format!("{refusal} ({whom}); nothing was changed"));
    }
    for line in away_lines(&result.blocked) {
        output.error(&line);
    }
    let away = |why: &Why| matches!(why, Why::Unreachable(_));
    for blocked in result.blocked.iter().filter(|b| !away(&b.why)) {
        output.error(&format!(
            "{}: {}",
            name(&blocked.target, fleet),
            blocked.why
        ));
    }
    for target in &result.busy {
        let name = name(target, fleet);
        output.error(&format!(
            "{name}: another session is at work on it; try again"
        ));
    }
    for target in &result.skipped {
        let name = name(target, fleet);
        output.error(&format!(
            "{name}: moved by somebody else meanwhile; look again"
        ));
    }
}

#[derive(Serialize)]
struct ScopesJson<'a> {
    scopes: Vec<ScopeJson<'a>>,
}

#[derive(Serialize)]
struct ScopeJson<'a> {
    scope: Scope,
    moved: usize,
    current: usize,
    busy: Vec<TargetJson<'a>>,
    skipped: Vec<TargetJson<'a>>,
    refusals: Vec<RefusalJson<'a>>,
    blocked: Vec<BlockedJson<'a>>,
}

fn show(scope: Scope, result: &Corrected) -> ScopeJson<'_> {
    let refusals = result.refusals.iter();
    ScopeJson {
        scope,
        moved: result.moved.len(),
        current: result.current,
        busy: result.busy.iter().map(json::target).collect(),
        skipped: result.skipped.iter().map(json::target).collect(),
        refusals: refusals
            .map(|(why, count)| json::refusal(why, *count))
            .collect(),
        blocked: result.blocked.iter().map(json::blocked).collect(),
    }
}

fn line(scope: Scope, result: &Corrected) -> String {
    let left = result.busy.len() + result.skipped.len() + result.blocked.len();
    let left = left
        + result
            .refusals
            .iter()
            .map(|(_, count)| count)
            .sum::<usize>();
    let as_is = if left == 1 {
        "left as it is"
    } else {
        "left as they are"
    };
    let parts = [(result.current, "said so already"), (left, as_is)];
    let rest = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!(", {} {what}", human::number(count)));
    let rest: String = rest.collect();
    match result.moved.len() {
        0 => format!("no history of {} corrected{rest}", things(scope)),
        moved => format!("history of {} corrected{rest}", targets(scope, moved)),
    }
}

/// What each thing that was not done makes of the process.
fn codes(result: &Corrected) -> impl Iterator<Item = ExitCode> {
    let slip = |(refusal, _): &(Refusal, usize)| matches!(refusal, Refusal::UnknownVersion(_));
    let refused = (!result.refusals.is_empty()).then(|| {
        if result.refusals.iter().all(slip) {
            ExitCode::Usage
        } else {
            ExitCode::Failed
        }
    });
    let busy = result.busy.iter().chain(&result.skipped);
    refused
        .into_iter()
        .chain(result.blocked.iter().map(of_blocked))
        .chain(busy.map(|_| ExitCode::Busy))
}
