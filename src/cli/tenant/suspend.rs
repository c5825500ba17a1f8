//! `tenant suspend` and `tenant resume`: tenants that stay where they stand for a while.

use std::collections::BTreeSet;

use clap::Args;

use super::many::Many;
use crate::{
    cli::{
        context::Context, error::CliError, exit::ExitCode, human, report::for_shell,
        selection::Selection,
    },
    fleet::Fleet,
    migration::Scope,
    plan::{Goal, Plan},
    provision,
    store::tenants::Tenant,
    tenant::TenantName,
    travel::{Cohorts, Survey},
};

/// What `tenant suspend` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Suspend {
    /// Which tenants, as for `up`
    #[arg(value_name = "NAME|SELECTOR")]
    selector: String,
}

/// What `tenant resume` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    /// Which tenants, as for `up`
    #[arg(value_name = "NAME|SELECTOR")]
    selector: String,
}

impl Suspend {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let tenants = Selection::tenants(&fleet, &self.selector, context.output).await?;
        let many = Many {
            action: "suspend",
            done: "suspended: they stay where they stand",
            told: |one| format!("tenant {one} is suspended: it stays where it stands"),
        };
        many.each(context, &fleet, tenants, async |tenant| {
            provision::suspend(&fleet, tenant).await
        })
        .await
    }
}

impl Resume {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let tenants = Selection::tenants(&fleet, &self.selector, context.output).await?;
        let names = tenants.iter().map(|tenant| tenant.name.clone()).collect();
        let many = Many {
            action: "resume",
            done: "moved with the fleet again",
            told: |one| format!("tenant {one} is moved with the fleet again"),
        };
        let code = many
            .each(context, &fleet, tenants, async |tenant: &Tenant| {
                provision::unsuspend(&fleet, tenant).await
            })
            .await?;
        let behind = behind(&fleet, &names).await?;
        if behind > 0 {
            let whom = match behind {
                1 if names.len() == 1 => "it is behind".to_owned(),
                1 => "1 of them is behind".to_owned(),
                behind => format!("{} of them are behind", human::number(behind)),
            };
            let typed = for_shell(&self.selector);
            let next = format!("{whom}: `tenantry up {typed}` applies what is pending");
            context.output.note(&next);
        }
        Ok(code)
    }
}

/// How many of these tenants lack something that the files have.
async fn behind(fleet: &Fleet, names: &BTreeSet<TenantName>) -> Result<usize, CliError> {
    let survey = Survey::take(fleet).await?;
    let chosen = survey.moving(Scope::Tenant).filter(|standing| {
        let tenant = standing.tenant.as_ref();
        tenant.is_some_and(|tenant| names.contains(&tenant.name))
    });
    let cohorts = Cohorts::form(fleet, Scope::Tenant, chosen, Goal::Latest).await?;
    let behind = cohorts
        .cohorts
        .iter()
        .filter(|cohort| !cohort.plan.as_ref().is_ok_and(Plan::is_empty));
    Ok(behind.map(|cohort| cohort.targets.len()).sum())
}
