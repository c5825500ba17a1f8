//! What `up`, `down`, `redo` and `goto` have in common: one run over the fleet, watched and reported.

use std::{path::PathBuf, time::Duration};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::{
    absent,
    context::Context,
    error::CliError,
    events::{About, Events},
    exit::ExitCode,
    human,
    output::Output,
    progress::Progress,
    report::{self, Retry},
    selection::Selection,
};
use crate::{
    config::{Portion, Settings},
    fleet::Fleet,
    migration::Scope,
    plan::Goal,
    travel::{Back, Request, take_back, travel},
};

/// Options of every command that moves schemas.
#[derive(Debug, Clone, Args)]
pub(super) struct TripOptions {
    /// Only the shared schema, or only the tenants
    #[arg(long, value_name = "SCOPE", value_parser = scope())]
    pub(super) scope: Option<Scope>,
    /// How many tenants may fail before no further one is begun: a number or a percentage
    #[arg(long, value_name = "N|P%")]
    max_failures: Option<Portion>,
    /// How many tenants are moved at once on each shard
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,
    /// Move each tenant in a transaction of its own, light as the migration may be
    #[arg(long)]
    no_group: bool,
    /// Also write what happens to this file, as it happens: one JSON object a line, behind what is in it
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

/// One run over the fleet, as it was asked for.
#[derive(Debug)]
pub(super) struct Trip<'a> {
    pub(super) goal: Goal,
    /// In the order in which they are moved.
    pub(super) scopes: &'a [Scope],
    pub(super) selection: Selection,
    /// What is taken back, where that is what a rollout has changed: its number, and the places.
    pub(super) back: Option<(i64, Back)>,
    pub(super) options: &'a TripOptions,
    /// How to ask for the same again.
    pub(super) retry: Retry<'a>,
}

impl Trip<'_> {
    /// Moves the fleet, shows how far it has come, and reports.
    pub(super) async fn run(
        mut self,
        context: &Context<'_>,
        settings: &Settings,
        mut fleet: Fleet,
    ) -> Result<ExitCode, CliError> {
        self.retry.arguments += &self.options.typed();
        self.retry.arguments += &context.typed();
        if let Some(concurrency) = self.options.concurrency {
            fleet.at_once(concurrency.into());
        }
        if self.options.no_group {
            fleet.limits.group_time = Duration::ZERO;
        }
        let request = Request {
            goal: self.goal,
            scopes: self.scopes,
            select: &|standing| self.selection.holds(standing),
            max_failures: self
                .options
                .max_failures
                .unwrap_or(settings.apply.max_failures),
        };
        let events = self.events(&fleet, context.output)?;
        let stop = context.stop(&fleet);
        let observer = (Progress::new(context.output), events);
        let travelled = match &self.back {
            Some((_, back)) => take_back(&fleet, &request, back, &stop, &observer).await,
            None => travel(&fleet, &request, &stop, &observer).await,
        };
        let (progress, events) = observer;
        drop(progress);
        let report = travelled.map_err(|error| {
            let error = error.into();
            events.iter().for_each(|events| events.fail(&error));
            error
        })?;
        let code = report::exit_code(&report);
        let lost = events.and_then(|events| {
            events.conclude(&report, code);
            events.lost()
        });
        report::show(&report, &fleet, &self.retry, lost, context.output);
        // The way back does not need the files.
        if self.goal == Goal::Latest {
            absent::look(&fleet, self.scopes, &self.selection, context.output).await?;
        }
        Ok(code)
    }

    /// The file for the events, opened before anything is done.
    fn events(&self, fleet: &Fleet, output: &Output) -> Result<Option<Events>, CliError> {
        let about = About {
            command: self.retry.command.split(' ').next().unwrap_or_default(),
            goal: self.goal,
            rollout: self.back.as_ref().map(|(rollout, _)| *rollout),
            scopes: self.scopes,
            who: &fleet.limits.who,
        };
        let path = self.options.events.as_deref();
        path.map(|path| Events::open(path, &about, output))
            .transpose()
    }
}

impl TripOptions {
    /// The options again, as they would be typed.
    fn typed(&self) -> String {
        let mut typed = String::new();
        if let Some(scope) = self.scope {
            typed.push_str(&format!(" --scope {scope}"));
        }
        if let Some(max_failures) = self.max_failures {
            typed.push_str(&format!(" --max-failures {max_failures}"));
        }
        if let Some(concurrency) = self.concurrency {
            typed.push_str(&format!(" --concurrency {concurrency}"));
        }
        if self.no_group {
            typed.push_str(" --no-group");
        }
        if let Some(events) = &self.events {
            let events = report::for_shell(&events.display().to_string());
            typed.push_str(&format!(" --events {events}"));
        }
        typed
    }
}

/// Takes the name of a scope.
pub(super) fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(["shared", "tenant"]).map(|word| match word.as_str() {
        "shared" => Scope::Shared,
        _ => Scope::Tenant,
    })
}

/// `1 tenant`, `3 shared schemas`.
pub(super) fn targets(scope: Scope, count: usize) -> String {
    let one = match scope {
        Scope::Shared => "shared schema",
        Scope::Tenant => "tenant",
    };
    human::count(count, one, things(scope))
}

/// What a scope's schemas are called together.
pub(super) fn things(scope: Scope) -> &'static str {
    match scope {
        Scope::Shared => "shared schemas",
        Scope::Tenant => "tenants",
    }
}
