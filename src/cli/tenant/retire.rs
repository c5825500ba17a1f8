//! `tenant retire`: drops tenants' schemas with everything in them.

use std::time::Duration;

use clap::Args;

use super::many::Many;
use crate::{
    cli::{
        ask, context::Context, error::CliError, exit::ExitCode, human, rollout::duration,
        selection::Selection,
    },
    fleet::Fleet,
    provision,
    store::tenants::Tenant,
};

/// What `tenant retire` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Retire {
    /// Which tenants, as for `up`
    #[arg(value_name = "NAME|SELECTOR")]
    selector: String,
    /// How long they can be had back, by `tenant resume`, before a daemon drops them; 0s drops them now [default:
    /// provision.retire_grace]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    grace: Option<Duration>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// So many tenants are named before they go.
const SHOWN: usize = 5;

impl Retire {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        // The way out must work whatever the files are like.
        let fleet = Fleet::without_files(&settings)?;
        let tenants = Selection::tenants(&fleet, &self.selector, context.output).await?;
        let grace = self.grace.unwrap_or(fleet.provision.retire_grace);
        if !tenants.is_empty() && !self.yes && !asked(context, &tenants, grace)? {
            return Ok(ExitCode::Failed);
        }
        if !grace.is_zero() {
            let many = Many {
                action: "retire",
                done: "retired: until their time is over, `tenantry tenant resume` has them back",
                told: |one| {
                    format!(
                        "tenant {one} is retired: until its time is over, `tenantry tenant resume {one}` has it back"
                    )
                },
            };
            let later =
                async |tenant: &Tenant| provision::retire_later(&fleet, &tenant.name, grace).await;
            return many.each(context, &fleet, tenants, later).await;
        }
        let many = Many {
            action: "retire",
            done: "retired",
            told: |one| format!("tenant {one} is no more"),
        };
        many.each(context, &fleet, tenants, async |tenant| {
            provision::retire(&fleet, &tenant.name).await
        })
        .await
    }
}

fn asked(context: &Context<'_>, tenants: &[Tenant], grace: Duration) -> Result<bool, CliError> {
    let after = match grace.is_zero() {
        true => String::new(),
        false => format!(" after {}", human::duration(grace)),
    };
    if let [tenant] = tenants {
        let about = format!(
            "This drops the schema {} on shard {}{after}, with all the data in it.",
            tenant.name.schema(),
            tenant.shard
        );
        return ask::name_again(context.output, &about, tenant.name.as_str());
    }
    let mut names: Vec<_> = tenants.iter().map(|t| t.name.as_str()).collect();
    names.truncate(SHOWN);
    let mut names = names.join(", ");
    if tenants.len() > SHOWN {
        names.push_str(&format!(
            " and {} more",
            human::number(tenants.len() - SHOWN)
        ));
    }
    let about = format!(
        "This drops the schemas of {}{after}, with all the data in them: {names}.",
        human::count(tenants.len(), "tenant", "tenants")
    );
    ask::number_again(context.output, &about, tenants.len())
}
