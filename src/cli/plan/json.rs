//! The plan for programs.

use std::path::Path;

use serde::Serialize;

use super::{Planned, PlannedScope};
use crate::{
    cli::report::json::{
        BlockedJson, RefusalJson, TargetJson, UnwellJson, blocked, refusal, target, unwell,
    },
    migration::{Checksum, Direction, Scope, Version},
    plan::Step,
    travel::Survey,
};

#[derive(Serialize)]
pub(super) struct PlanJson<'a> {
    scopes: Vec<ScopeJson<'a>>,
    unwell: Vec<UnwellJson>,
}

#[derive(Serialize)]
struct ScopeJson<'a> {
    scope: Scope,
    cohorts: Vec<CohortJson<'a>>,
    blocked: Vec<BlockedJson<'a>>,
}

#[derive(Serialize)]
struct CohortJson<'a> {
    version: Option<Version>,
    count: usize,
    targets: Vec<TargetJson<'a>>,
    steps: Vec<StepJson<'a>>,
    repeatables: Vec<&'a str>,
    refusal: Option<RefusalJson<'a>>,
    /// For the first target, one a transaction; absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a [String]>,
}

#[derive(Serialize)]
struct StepJson<'a> {
    direction: Direction,
    version: Version,
    name: &'a str,
    path: &'a Path,
    checksum: Checksum,
    statements: usize,
}

/// All of the plan.
pub(super) fn plan<'a>(scopes: &'a [PlannedScope], survey: &Survey) -> PlanJson<'a> {
    PlanJson {
        scopes: scopes.iter().map(scope).collect(),
        unwell: unwell(&survey.away),
    }
}

fn scope(scope: &PlannedScope) -> ScopeJson<'_> {
    ScopeJson {
        scope: scope.scope,
        cohorts: scope.cohorts.iter().map(cohort).collect(),
        blocked: scope.blocked.iter().map(blocked).collect(),
    }
}

fn cohort(planned: &Planned) -> CohortJson<'_> {
    let cohort = &planned.cohort;
    let count = cohort.targets.len();
    let (steps, repeatables) = match &cohort.plan {
        Ok(plan) => (
            plan.steps.iter().map(step).collect(),
            plan.repeatables.iter().map(|r| r.name.as_str()).collect(),
        ),
        Err(_) => (Vec::new(), Vec::new()),
    };
    CohortJson {
        version: cohort.version(),
        count,
        targets: cohort.targets.iter().map(|(t, _)| target(t)).collect(),
        steps,
        repeatables,
        refusal: cohort.plan.as_ref().err().map(|why| refusal(why, count)),
        messages: planned.messages.as_deref(),
    }
}

fn step(step: &Step) -> StepJson<'_> {
    StepJson {
        direction: step.direction,
        version: step.migration.version,
        name: &step.migration.name,
        path: &step.script.path,
        checksum: step.script.checksum,
        statements: step.script.statements.len(),
    }
}
