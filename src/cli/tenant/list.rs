//! `tenant list`: the tenants and where they stand.

use std::collections::BTreeMap;

use clap::Args;
use comfy_table::Cell;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{
        context::Context,
        error::CliError,
        exit::ExitCode,
        report::json::{UnwellJson, unwell},
        selection::Selection,
        table::{Table, bad, caution, faint, good},
    },
    fleet::Fleet,
    migration::{Scope, Version},
    plan::Goal,
    store::tenants::{Labels, Tenant},
    tenant::{ShardName, Target, TenantName, TenantState},
    travel::{Cohorts, Standing, Survey},
};

/// What `tenant list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Which tenants, as for `up` [default: all]
    selector: Option<String>,
}

#[derive(Serialize)]
struct All<'a> {
    tenants: Vec<Listed<'a>>,
    unwell: Vec<UnwellJson>,
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a TenantName,
    shard: &'a ShardName,
    schema: &'a str,
    state: TenantState,
    version: Option<Version>,
    /// None where it cannot be told.
    pending_count: Option<usize>,
    /// What is in its way.
    blocked: Option<String>,
    #[serde(skip)]
    away: bool,
    labels: &'a Labels,
    created_at: Timestamp,
}

impl List {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let survey = Survey::take(&fleet).await?;
        let selection = Selection::of(&survey, self.selector.as_deref(), context.output)?;
        let standings: Vec<_> = survey
            .tenants
            .iter()
            .filter(|standing| selection.holds(standing))
            .collect();
        let places = places(&fleet, &standings).await?;
        let tenants: Vec<_> = standings
            .iter()
            .filter_map(|standing| Some(listed(standing, standing.tenant.as_ref()?, &places)))
            .collect();
        let all = All {
            tenants,
            unwell: unwell(&survey.away),
        };
        context.output.result(&all, |paint| {
            let mut table = Table::new(
                paint,
                ["TENANT", "SHARD", "STATE", "VERSION", "PENDING", "LABELS"],
            );
            for tenant in &all.tenants {
                table.row([
                    Cell::new(tenant.name),
                    Cell::new(tenant.shard),
                    state(tenant),
                    Cell::new(
                        tenant
                            .version
                            .map_or_else(|| "-".to_owned(), |v| v.to_string()),
                    ),
                    pending(tenant.pending_count),
                    Cell::new(words(tenant.labels)),
                ]);
            }
            let mut text = table.render();
            for (shard, why) in &survey.away {
                let why = format!("shard {shard} cannot be worked on: {why}");
                text.push_str(&format!("\n{}", paint.labelled("error:", &why)));
            }
            text
        });
        Ok(if survey.away.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
    }
}

/// What of the files is not applied, or what is in the way, by target.
type Places = BTreeMap<Target, Result<usize, String>>;

async fn places(fleet: &Fleet, standings: &[&Standing]) -> Result<Places, CliError> {
    let standings = standings.iter().copied();
    let cohorts = Cohorts::form(fleet, Scope::Tenant, standings, Goal::Latest).await?;
    let mut places = Places::new();
    for cohort in cohorts.cohorts {
        let is_pending = |version| cohort.applied.iter().all(|a| a.version != version);
        let migrations = fleet.tenant.migrations.iter();
        let pending = migrations.filter(|m| is_pending(m.version)).count();
        places.extend(
            cohort
                .targets
                .into_iter()
                .map(|(target, _)| (target, Ok(pending))),
        );
    }
    for blocked in cohorts.blocked {
        places.insert(blocked.target, Err(blocked.why.to_string()));
    }
    Ok(places)
}

fn listed<'a>(standing: &Standing, tenant: &'a Tenant, places: &Places) -> Listed<'a> {
    let place = places.get(&standing.target);
    let head = standing.pinned.as_ref().map(|pinned| &pinned.head);
    Listed {
        name: &tenant.name,
        shard: &tenant.shard,
        schema: tenant.name.schema().as_str(),
        state: tenant.state,
        version: head.and_then(|head| head.version),
        pending_count: place.and_then(|place| place.as_ref().ok().copied()),
        blocked: place.and_then(|place| place.as_ref().err().cloned()),
        away: standing.away.is_some(),
        labels: &tenant.labels,
        created_at: tenant.created_at,
    }
}

fn state(tenant: &Listed<'_>) -> Cell {
    match (tenant.state, &tenant.blocked) {
        (TenantState::Active, None) => good(tenant.state),
        (TenantState::Active, Some(_)) if tenant.away => bad("unreachable"),
        (TenantState::Active, Some(why)) => bad(why),
        (state, _) => caution(state),
    }
}

fn pending(pending: Option<usize>) -> Cell {
    match pending {
        None => faint("-"),
        Some(0) => faint(0),
        Some(pending) => caution(pending),
    }
}

pub(super) fn words(labels: &Labels) -> String {
    let words: Vec<_> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    words.join(" ")
}
