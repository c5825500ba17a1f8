//! `wait`: returns when the fleet has arrived; a gate for deploys and init containers.

mod look;

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::look::{Arrival, ScopeArrival};
use super::{
    context::Context,
    error::CliError,
    exit::ExitCode,
    human,
    output::Output,
    report::{
        away_lines, blocked_lines,
        json::{self, BlockedJson, UnwellJson},
    },
    trip::scope,
};
use crate::{
    fleet::Fleet,
    migration::{Scope, Version},
};

/// What `wait` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all have arrived, 3 not within the time, 5 who is missing has stopped half-way, \
                        69 the home database, or every shard, could not be reached within the time; 3 where some shards can, \
                        and it says which cannot"
)]
pub(super) struct Wait {
    /// Which tenants, as for `up` [default: all]
    selector: Option<String>,
    /// Until this version is applied [default: all that the files have]
    #[arg(long, value_name = "VERSION")]
    version: Option<Version>,
    /// Only the shared schemas, or only the tenants [default: both; with --version, the tenants]
    #[arg(long, value_name = "SCOPE", value_parser = scope())]
    scope: Option<Scope>,
    /// How long to wait, also for a database that cannot be reached yet
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
    timeout: Duration,
    /// The longest time between two looks; the first ones follow quicker
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    interval: Duration,
}

/// The time before the second look.
const FIRST: Duration = Duration::from_millis(100);

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(20);

#[derive(Serialize)]
struct WaitJson<'a> {
    arrived: bool,
    version: Option<Version>,
    waited_ms: u128,
    scopes: Vec<ScopeJson<'a>>,
    unwell: Vec<UnwellJson>,
}

#[derive(Serialize)]
struct ScopeJson<'a> {
    scope: Scope,
    arrived: usize,
    pending: usize,
    blocked: Vec<BlockedJson<'a>>,
}

impl Wait {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let start = Instant::now();
        let stop = context.stop_alone();
        let Some(arrival) = self.arrive(&fleet, context.output, start, &stop).await? else {
            return Ok(ExitCode::Interrupted);
        };
        let scopes = arrival.scopes.iter().map(|scope| ScopeJson {
            scope: scope.scope,
            arrived: scope.arrived,
            pending: scope.pending,
            blocked: scope.blocked.iter().map(json::blocked).collect(),
        });
        let shown = WaitJson {
            arrived: arrival.is_complete(),
            version: self.version,
            waited_ms: start.elapsed().as_millis(),
            scopes: scopes.collect(),
            unwell: json::away(arrival.blocked()),
        };
        context.output.result(&shown, |paint| {
            let line = format!(
                "{} after {}",
                arrival.line(),
                human::duration(start.elapsed())
            );
            if arrival.is_complete() {
                paint.good(line)
            } else {
                paint.bad(line)
            }
        });
        for scope in &arrival.scopes {
            for line in blocked_lines(&scope.blocked, &fleet) {
                context.output.error(&line);
            }
        }
        for line in away_lines(arrival.blocked()) {
            context.output.error(&line);
        }
        Ok(arrival.exit_code())
    }

    /// Looks until all have arrived, nobody who is missing can, or the time is over. None when asked to stop.
    async fn arrive(
        &self,
        fleet: &Fleet,
        output: &Output,
        start: Instant,
        stop: &CancellationToken,
    ) -> Result<Option<Arrival>, CliError> {
        // Whoever asks for no pause at all gets a short one.
        let longest = self.interval.max(SHORTEST);
        let mut pause = FIRST.min(longest);
        let mut told = String::new();
        let mut chosen = None;
        loop {
            let left = self.timeout.saturating_sub(start.elapsed());
            let looked = look::look(fleet, self, &mut chosen, output);
            let Some(looked) = stop.run_until_cancelled(looked).await else {
                return Ok(None);
            };
            let news = match &looked {
                Ok(arrival) if arrival.is_settled() => return looked.map(Some),
                Ok(arrival) => format!("waiting: {}", arrival.line()),
                // It may not have been started yet.
                Err(error) if error.exit_code() == ExitCode::Unreachable => {
                    format!("waiting: {}", error.message())
                }
                Err(_) => return looked.map(Some),
            };
            if left.is_zero() {
                return looked.map(Some);
            }
            if news != told {
                output.note(&news);
                told = news;
            }
            let sleep = tokio::time::sleep(pause.min(left));
            if stop.run_until_cancelled(sleep).await.is_none() {
                return Ok(None);
            }
            pause = pause.mul_f64(1.5).min(longest);
        }
    }

    fn scopes(&self) -> &[Scope] {
        match (&self.scope, self.version) {
            (Some(scope), _) => std::slice::from_ref(scope),
            (None, Some(_)) => &[Scope::Tenant],
            (None, None) => &[Scope::Shared, Scope::Tenant],
        }
    }
}

impl Arrival {
    /// `shared: 1 of 1, tenants: 198 of 200 have arrived`.
    fn line(&self) -> String {
        let part = |scope: &ScopeArrival| {
            let all = scope.arrived + scope.pending + scope.blocked.len();
            let (arrived, all) = (human::number(scope.arrived), human::number(all));
            format!("{}: {arrived} of {all}", super::trip::things(scope.scope))
        };
        let parts: Vec<_> = self.scopes.iter().map(part).collect();
        format!("{} there", parts.join(", "))
    }
}

/// Reads `30s` or `1h 30min`.
fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration::read(text)
        .ok_or_else(|| "write a time with its unit, such as 500ms, 30s or 1h 30min".to_owned())
}
