//! `tenant label`: free words on tenants, by which selectors find them.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode, human, selection::Selection},
    fleet::Fleet,
    store::tenants::{self, Labels, Tenant},
    tenant::{ShardName, TenantName},
};

/// What `tenant label` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Label {
    /// Which tenants, as for `up`
    #[arg(value_name = "NAME|SELECTOR")]
    selector: String,
    /// KEY=VALUE sets a label, KEY- takes it away
    #[arg(required = true, value_name = "KEY=VALUE|KEY-", value_parser = change)]
    changes: Vec<Change>,
}

/// One change of the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Set(String, String),
    Remove(String),
}

#[derive(Serialize)]
struct Labelled<'a> {
    tenants: Vec<LabelledTenant<'a>>,
}

#[derive(Serialize)]
struct LabelledTenant<'a> {
    name: &'a TenantName,
    shard: &'a ShardName,
    labels: &'a Labels,
}

impl Label {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let (mut set, mut remove) = (Labels::new(), Vec::new());
        for change in self.changes {
            let key = match &change {
                Change::Set(key, _) | Change::Remove(key) => key.clone(),
            };
            if set.contains_key(&key) || remove.contains(&key) {
                let message =
                    format!("the label {key} is named twice: say once what becomes of it");
                return Err(CliError::Usage(message));
            }
            match change {
                Change::Set(key, value) => drop(set.insert(key, value)),
                Change::Remove(key) => remove.push(key),
            }
        }
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let chosen = Selection::tenants(&fleet, &self.selector, context.output).await?;
        let names: Vec<_> = chosen.iter().map(|tenant| tenant.name.as_str()).collect();
        let mut home = fleet.home().await?;
        let labelled = tenants::label(home.connection(), &names, &set, &remove).await?;
        home.close().await;
        tell(&labelled, context);
        Ok(ExitCode::Done)
    }
}

fn tell(labelled: &[Tenant], context: &Context<'_>) {
    let tenants = labelled.iter().map(|tenant| LabelledTenant {
        name: &tenant.name,
        shard: &tenant.shard,
        labels: &tenant.labels,
    });
    let json = Labelled {
        tenants: tenants.collect(),
    };
    context.output.result(&json, |_| match labelled {
        [one] => match super::list::words(&one.labels).as_str() {
            "" => format!("tenant {} has no labels", one.name),
            words => format!("tenant {} has {words}", one.name),
        },
        many => format!("{} labelled", human::count(many.len(), "tenant", "tenants")),
    });
}

/// Reads one change.
fn change(text: &str) -> Result<Change, String> {
    if let Some((key, value)) = text.split_once('=')
        && !key.is_empty()
    {
        return Ok(Change::Set(key.to_owned(), value.to_owned()));
    }
    match text.strip_suffix('-') {
        Some(key) if !key.is_empty() && !text.contains('=') => Ok(Change::Remove(key.to_owned())),
        _ => Err("write KEY=VALUE to set a label, KEY- to take it away".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_taken_away() {
        let set = |key: &str, value: &str| Ok(Change::Set(key.to_owned(), value.to_owned()));
        assert_eq!(change("tier=free"), set("tier", "free"));
        assert_eq!(change("note=a=b-"), set("note", "a=b-"));
        assert_eq!(change("tier="), set("tier", ""));
        assert_eq!(change("tier-"), Ok(Change::Remove("tier".to_owned())));
        for wrong in ["tier", "=free", "-", "", "=-"] {
            assert!(change(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
