//! One thing done to many tenants, and what is told of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    cli::{
        context::Context,
        error::{CliError, of_provision},
        exit::ExitCode,
        human,
        output::Output,
        progress::Progress,
        report::{of_some, worst},
    },
    fleet::Fleet,
    migration::Scope,
    provision::{self, Each, ProvisionError},
    store::tenants::Tenant,
};

/// One thing that is done to tenants, in words.
pub(super) struct Many {
    /// The command's word.
    pub(super) action: &'static str,
    /// What becomes of tenants by it.
    pub(super) done: &'static str,
    /// That it was done to this tenant.
    pub(super) told: fn(&str) -> String,
}

#[derive(Serialize)]
struct ManyJson<'a> {
    action: &'static str,
    done: usize,
    failed: usize,
    not_started: usize,
    tenants: Vec<EachJson<'a>>,
}

#[derive(Serialize)]
struct EachJson<'a> {
    name: &'a str,
    shard: &'a str,
    /// `done`, `failed` or `not_started`.
    ended: &'static str,
    error: Option<String>,
}

/// So many tenants of one failure are named.
const SHOWN: usize = 5;

impl Many {
    /// Does it to all of them, and tells how it ended. One tenant's error is the command's.
    pub(super) async fn each(
        &self,
        context: &Context<'_>,
        fleet: &Fleet,
        tenants: Vec<Tenant>,
        work: impl AsyncFn(&Tenant) -> Result<(), ProvisionError>,
    ) -> Result<ExitCode, CliError> {
        let stop = context.stop(fleet);
        let progress = Progress::new(context.output);
        progress.begun(Scope::Tenant, tenants.len());
        let counted = async |tenant: &Tenant| {
            let ended = work(tenant).await;
            progress.one_more(Scope::Tenant, ended.is_err());
            ended
        };
        let mut ended = provision::each(fleet, tenants, &stop, counted).await;
        progress.finished();
        if ended.len() == 1
            && let Some(Err(_)) = ended[0].ended
            && let Some(Err(error)) = ended.remove(0).ended
        {
            return Err(error.into());
        }
        self.tell(&ended, context.output);
        Ok(exit_code(&ended))
    }

    fn tell(&self, ended: &[Each], output: &Output) {
        let done = count(ended, |ended| matches!(ended, Some(Ok(()))));
        let failed = count(ended, |ended| matches!(ended, Some(Err(_))));
        let not_started = count(ended, Option::is_none);
        let json = ManyJson {
            action: self.action,
            done,
            failed,
            not_started,
            tenants: ended.iter().map(json).collect(),
        };
        output.result(&json, |paint| {
            let mut line = match ended {
                [one] if done == 1 => (self.told)(one.tenant.name.as_str()),
                all => {
                    let of = match done == all.len() {
                        true => String::new(),
                        false => format!("{} of ", human::number(done)),
                    };
                    let all = human::count(all.len(), "tenant", "tenants");
                    format!("{of}{all} {}", self.done)
                }
            };
            for (count, what) in [(failed, "failed"), (not_started, "not begun")] {
                if count > 0 {
                    let text = format!("{} {what}", human::number(count));
                    line.push_str(&format!("; {}", paint.bad(text)));
                }
            }
            line
        });
        for (message, names) in failures(ended) {
            let whom = human::count(names.len(), "tenant", "tenants");
            let more = names.len().saturating_sub(SHOWN);
            let mut named = names[..names.len() - more].join(", ");
            if more > 0 {
                named.push_str(&format!(" and {} more", human::number(more)));
            }
            output.error(&format!("{whom} ({named}): {message}"));
        }
        if failed + not_started > 0 {
            output.note("what is done is done: the same command again goes on with the rest");
        }
    }
}

fn count(ended: &[Each], test: fn(&Option<Result<(), ProvisionError>>) -> bool) -> usize {
    ended.iter().filter(|each| test(&each.ended)).count()
}

fn json(each: &Each) -> EachJson<'_> {
    EachJson {
        name: each.tenant.name.as_str(),
        shard: each.tenant.shard.as_str(),
        ended: match each.ended {
            Some(Ok(())) => "done",
            Some(Err(_)) => "failed",
            None => "not_started",
        },
        error: match &each.ended {
            Some(Err(error)) => Some(error.to_string()),
            _ => None,
        },
    }
}

/// The names of those that failed, by what is wrong.
fn failures(ended: &[Each]) -> BTreeMap<String, Vec<&str>> {
    let mut failures: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for each in ended {
        if let Some(Err(error)) = &each.ended {
            let names = failures.entry(error.to_string()).or_default();
            names.push(each.tenant.name.as_str());
        }
    }
    failures
}

/// The worst of it; that somebody asked to stop comes first.
fn exit_code(ended: &[Each]) -> ExitCode {
    if ended.iter().any(|each| each.ended.is_none()) {
        return ExitCode::Interrupted;
    }
    let failed = ended.iter().filter_map(|each| match &each.ended {
        Some(Err(error)) => Some(of_provision(error)),
        _ => None,
    });
    let worst = worst(failed, true);
    of_some(
        worst,
        ended.iter().any(|each| matches!(each.ended, Some(Ok(())))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fleet::FleetError,
        store::tenants::Labels,
        tenant::{ShardName, TenantName, TenantState},
    };

    fn each(ended: Option<Result<(), ProvisionError>>) -> Each {
        Each {
            tenant: Tenant {
                name: TenantName::new("acme").unwrap(),
                shard: ShardName::new("main"),
                state: TenantState::Active,
                labels: Labels::new(),
                created_at: jiff::Timestamp::UNIX_EPOCH,
            },
            ended,
        }
    }

    #[test]
    fn the_worst_is_told_and_a_stop_before_all() {
        let busy = || each(Some(Err(ProvisionError::Busy("acme".to_owned()))));
        let away = || each(Some(Err(FleetError::NoShard("a".to_owned()).into())));
        let failed = || each(Some(Err(ProvisionError::Taken("acme".to_owned()))));
        let done = || each(Some(Ok(())));
        for (ended, code) in [
            (vec![done()], ExitCode::Done),
            (vec![busy(), done()], ExitCode::Busy),
            (vec![busy(), away()], ExitCode::Unreachable),
            (vec![away(), done()], ExitCode::Failed),
            (vec![busy(), failed()], ExitCode::Failed),
            (vec![failed(), each(None)], ExitCode::Interrupted),
        ] {
            assert_eq!(exit_code(&ended), code);
        }
    }
}
