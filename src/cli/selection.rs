//! The tenants that a command is about.

use std::collections::BTreeSet;

use super::{error::CliError, output::Output};
use crate::{
    fleet::Fleet,
    store::tenants::{self, Tenant},
    tenant::{TenantName, TenantState, selector::Selector},
    travel::{Standing, Survey},
};

/// So many tenants that are left alone are named.
const SHOWN: usize = 5;

/// The tenants that a command is about: all of them, or these.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    names: Option<BTreeSet<String>>,
}

impl Selection {
    /// Looks at the fleet where there is a selector; it stays with what it finds, however long the command runs.
    pub(crate) async fn take(
        fleet: &Fleet,
        selector: Option<&str>,
        output: &Output,
    ) -> Result<Self, CliError> {
        match selector {
            None => Ok(Self { names: None }),
            Some(_) => {
                let survey = Survey::take(fleet).await?;
                let selection = Self::of(&survey, selector, output)?;
                for (tenant, state) in selection.idle(&survey).take(SHOWN) {
                    output.note(&format!("{} is {state}: it stays as it is", tenant.name));
                }
                Ok(selection)
            }
        }
    }

    /// The same in a survey that was taken before.
    pub(crate) fn of(
        survey: &Survey,
        selector: Option<&str>,
        output: &Output,
    ) -> Result<Self, CliError> {
        let Some(selector) = selector else {
            return Ok(Self { names: None });
        };
        let selector = Selector::parse(selector, |file| std::fs::read_to_string(file))?;
        let tenants = || {
            let standings = survey.tenants.iter();
            standings.filter_map(|standing| Some((standing, standing.tenant.as_ref()?)))
        };
        let all: Vec<_> = tenants().map(|(_, tenant)| tenant.name.as_str()).collect();
        let standings = survey.shared.iter().chain(&survey.tenants);
        let shards: BTreeSet<_> = standings.map(|s| s.target.shard.as_str()).collect();
        selector.check_names(&all, &Vec::from_iter(shards))?;
        let candidates: Vec<_> = survey
            .tenants
            .iter()
            .filter_map(Standing::candidate)
            .collect();
        for label in selector.labels_of_nobody(&candidates) {
            output.warning(&format!("no tenant has the label {label}"));
        }
        let chosen = candidates.iter().filter(|tenant| selector.matches(tenant));
        let names: BTreeSet<_> = chosen.map(|tenant| tenant.name.to_owned()).collect();
        if names.is_empty() {
            output.warning("no tenant is selected");
        }
        Ok(Self { names: Some(names) })
    }

    /// The registered tenants that a command on the registry is about: the one of exactly this name, whatever characters
    /// are in it and wherever its shard is, else those that the selector finds.
    pub(crate) async fn tenants(
        fleet: &Fleet,
        selector: &str,
        output: &Output,
    ) -> Result<Vec<Tenant>, CliError> {
        if let Ok(name) = TenantName::new(selector) {
            let mut home = fleet.home().await?;
            let named = tenants::get(home.connection(), &name).await?;
            home.close().await;
            if let Some(tenant) = named {
                return Ok(vec![tenant]);
            }
        }
        let survey = Survey::take(fleet).await?;
        let selection = Self::of(&survey, Some(selector), output)?;
        let chosen = survey
            .tenants
            .iter()
            .filter(|standing| selection.holds(standing));
        Ok(chosen
            .filter_map(|standing| standing.tenant.clone())
            .collect())
    }

    /// Whether there is nobody in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Whether a tenant is one of them.
    pub(crate) fn holds(&self, standing: &Standing) -> bool {
        self.names.as_ref().is_none_or(|names| {
            let tenant = standing.tenant.as_ref();
            tenant.is_some_and(|tenant| names.contains(tenant.name.as_str()))
        })
    }

    /// Tenants of it that are not moved with the fleet, and why.
    pub(crate) fn idle<'a>(
        &'a self,
        survey: &'a Survey,
    ) -> impl Iterator<Item = (&'a Tenant, TenantState)> {
        let chosen = survey
            .tenants
            .iter()
            .filter(|standing| self.holds(standing));
        chosen
            .filter_map(|standing| standing.tenant.as_ref())
            .map(|tenant| (tenant, tenant.state))
            .filter(|(_, state)| *state != TenantState::Active)
    }
}
