//! `rehearse`: runs what is pending on copies of sample tenants, and tells its time, its locks and what it rewrites.

mod size;
mod text;

use std::time::Duration;

use clap::Args;

use self::size::Size;
use super::{
    context::Context,
    error::{CliError, of_refusal},
    exit::ExitCode,
    human,
    output::Output,
    report,
    scratch::ScratchOptions,
    selection::Selection,
    trip::scope,
};
use crate::{
    fleet::Fleet,
    migration::{Scope, Version},
    plan::Goal,
    rehearse::{
        Allowed, Ended, Ground, Rehearsal, RehearseError, Rehearsed, Request, Thresholds, rehearse,
    },
    travel::Survey,
};

/// What `rehearse` takes.
#[derive(Debug, Args)]
pub(super) struct Rehearse {
    /// Which tenants the copies are chosen from, as for `up` [default: all]
    selector: Option<String>,
    /// Up to this version, and no further
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
    /// Only the shared schema, or only the tenants
    #[arg(long, value_name = "SCOPE", value_parser = scope())]
    scope: Option<Scope>,
    /// Apply a version that is lower than one already applied
    #[arg(long)]
    allow_out_of_order: bool,
    #[command(flatten)]
    scratch: ScratchOptions,
    /// Make the copies in the fleet's own databases, in schemas that go again; nothing is committed in them
    #[arg(long, conflicts_with_all = ["server", "prepare"])]
    in_place: bool,
    /// So many tenants of those that share a plan and a shard, at most: one of each structure, then by size the largest of
    /// so many equal parts
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Look at the structures of tenants for so long, at most; 0s for not at all
    #[arg(long, value_name = "DURATION", default_value = "2min", value_parser = duration)]
    look: Duration,
    /// So many rows of a table are copied, at most
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// So much of a schema is copied, about, without indexes
    #[arg(long, value_name = "SIZE", default_value = "100MB")]
    size: Size,
    /// Copy no rows: times mean little then, and what fails on rows is not seen
    #[arg(long, conflicts_with_all = ["rows", "size", "without"])]
    no_data: bool,
    /// Copy no rows of this table; once for each
    #[arg(long, value_name = "TABLE")]
    without: Vec<String>,
    /// Tell what the server says of errors whole, though it may quote rows
    #[arg(long)]
    show_values: bool,
    /// Warn of locks that applications wait for when they are held so long
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    long: Duration,
    /// Warn of tables that are rewritten, or read under such a lock, from so many rows on
    #[arg(long, value_name = "ROWS", default_value_t = 100_000)]
    large: u64,
}

impl Rehearse {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let mut fleet = context.fleet(&settings)?;
        fleet.out_of_order |= self.allow_out_of_order;
        let output = context.output;
        let rehearsal = match self.rehearse(&fleet, context).await {
            Err(CliError::Rehearse(RehearseError::Stopped)) => return Ok(ExitCode::Interrupted),
            rehearsal => rehearsal?,
        };
        output.result(&rehearsal, |paint| text::summary(&rehearsal, paint));
        self.tell(&rehearsal, output);
        Ok(code(&rehearsal))
    }

    async fn rehearse(&self, fleet: &Fleet, context: &Context<'_>) -> Result<Rehearsal, CliError> {
        let output = context.output;
        let survey = Survey::take(fleet).await?;
        let selection = Selection::of(&survey, self.selector.as_deref(), output)?;
        let both = [Scope::Shared, Scope::Tenant];
        let stop = context.stop_alone();
        let observe = |copy: &Rehearsed| output.line(|paint| text::copy(copy, paint));
        let request = Request {
            goal: self.to.map_or(Goal::Latest, Goal::UpTo),
            scopes: self.scope.as_ref().map_or(&both, std::slice::from_ref),
            select: &|standing| selection.holds(standing),
            allowed: Allowed {
                data: !self.no_data,
                rows: self.rows,
                bytes: self.size.bytes(),
                without: self.without.clone(),
            },
            parts: self.samples.into(),
            look: self.look,
            shows_values: self.show_values,
            thresholds: Thresholds {
                long: self.long,
                large: self.large,
            },
            observe: &observe,
            stop: &stop,
        };
        if self.in_place {
            return Ok(rehearse(fleet, Ground::InPlace, &request).await?);
        }
        let prepare = self.scratch.prepare()?;
        // Nobody but the plan is to lock anything there.
        let start = self.scratch.start_with(&[("autovacuum", "off")]);
        let Some(server) = stop.run_until_cancelled(start).await else {
            return Err(RehearseError::Stopped.into());
        };
        let server = server?;
        let ground = Ground::Scratch {
            server: &server,
            prepare: prepare.as_deref(),
        };
        let rehearsal = rehearse(fleet, ground, &request).await;
        let stopped = server.stop().await;
        // What went wrong first is told.
        let rehearsal = rehearsal?;
        stopped?;
        Ok(rehearsal)
    }

    /// What is wrong, and what there is to know, beside the result.
    fn tell(&self, rehearsal: &Rehearsal, output: &Output) {
        for (refusal, targets) in &rehearsal.refusals {
            let schemas = human::count(*targets, "schema", "schemas");
            report::refused(refusal, &schemas, output);
        }
        let mut told: Vec<String> = Vec::new();
        for copy in &rehearsal.copies {
            let Ended::Failed {
                failure,
                doubt,
                withheld,
            } = &copy.ended
            else {
                continue;
            };
            // Of those that failed alike, one is enough.
            if told.contains(&failure.kind()) {
                continue;
            }
            told.push(failure.kind());
            let excerpt = report::excerpt(failure, Some(&copy.schema), output.error_paint);
            output.aside(&format!("\n{excerpt}\n"));
            if *withheld {
                output.note("the server said more, which may quote rows: `--show-values` tells it");
            }
            if let Some(doubt) = doubt {
                output.note(doubt);
            }
        }
        for unwell in &rehearsal.unwell {
            let (shard, why) = (&unwell.shard, &unwell.message);
            output.error(&format!("nothing was rehearsed on shard {shard}: {why}"));
        }
        for note in &rehearsal.notes {
            output.note(note);
        }
    }
}

fn code(rehearsal: &Rehearsal) -> ExitCode {
    if let Some((refusal, _)) = rehearsal.refusals.first() {
        return of_refusal(refusal);
    }
    if !rehearsal.has_passed() {
        ExitCode::Failed
    } else if !rehearsal.warnings.is_empty() {
        ExitCode::Findings
    } else {
        ExitCode::Done
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration::read(text)
        .ok_or_else(|| "write \"500ms\", \"2s\" or \"1min\"".to_owned())
}

impl From<RehearseError> for CliError {
    fn from(error: RehearseError) -> Self {
        match error {
            RehearseError::Fleet(error) => Self::Fleet(error),
            RehearseError::Session(error) => Self::Fleet(error.into()),
            error => Self::Rehearse(error),
        }
    }
}
