//! `drift`: which schemas look otherwise than their histories should have made them, and in what.

mod json;
mod text;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::{
    context::Context, error::CliError, exit::ExitCode, progress::Progress, scratch::ScratchOptions,
    selection::Selection,
};
use crate::{
    config::Settings,
    drift::{
        Basis, Course, DriftError, Earlier, Groups, Pace, Report, Scratch, compare, find, make,
        note,
    },
    fleet::Fleet,
    migration::Scope,
    travel::Survey,
    verify::{VerifyError, scratch::ScratchError},
};

/// What `drift` takes.
#[derive(Debug, Args)]
pub(super) struct Drift {
    /// Which tenants, as for `up` [default: all, and the shared schemas]
    selector: Option<String>,
    /// What schemas are compared with: what their history makes on a scratch server, or what most of those look like that
    /// stand where they stand
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    reference: Reference,
    /// Try out anew what histories make, whatever is kept of earlier times
    #[arg(long, conflicts_with = "reference")]
    fresh: bool,
    #[command(flatten)]
    scratch: ScratchOptions,
}

/// What schemas are compared with. Without a text for each value, help shows them on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Reference {
    #[default]
    History,
    Majority,
}

impl Drift {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let stop = context.stop(&fleet);
        let report = self.look(context, &settings, &fleet, &stop).await?;
        if stop.is_cancelled() && report.groups.is_empty() {
            return Ok(ExitCode::Interrupted);
        }
        note(&fleet, &report).await?;
        context.output.result(&json::report(&report), |paint| {
            text::report(&report, &fleet, context.is_verbose(), paint)
        });
        Ok(match report.drifted() {
            _ if stop.is_cancelled() => ExitCode::Interrupted,
            0 if report.not_looked.is_empty() => ExitCode::Done,
            0 => ExitCode::Failed,
            _ => ExitCode::Drift,
        })
    }

    async fn look(
        &self,
        context: &Context<'_>,
        settings: &Settings,
        fleet: &Fleet,
        stop: &CancellationToken,
    ) -> Result<Report, CliError> {
        let survey = Survey::take(fleet).await?;
        let selector = self.selector.as_deref();
        let selection = Selection::of(&survey, selector, context.output)?;
        let chosen = |standing: &_| selection.holds(standing);
        let mut groups = Groups::of(fleet, &survey, chosen, selector.is_none()).await?;
        match self.reference {
            Reference::Majority => groups.by_majority(),
            Reference::History => {
                let prepare = self.scratch.prepare()?;
                let earlier = match &prepare {
                    _ if self.fresh => Earlier::Nothing,
                    Some(prepare) => Earlier::Prepared(prepare),
                    None => Earlier::Last,
                };
                find(fleet, &mut groups, earlier).await?;
                let unknown = |group: &crate::drift::Group| matches!(group.basis, Basis::Unknown);
                if groups.groups.iter().any(unknown) {
                    let note = "what histories make is tried out on a scratch server, and kept";
                    context.output.note(note);
                    let made = self.make(settings, fleet, prepare.as_deref(), &mut groups);
                    match stop.run_until_cancelled(made).await {
                        Some(made) => made?,
                        // The server goes with the future, whatever it was at.
                        None => return Ok(Report::default()),
                    }
                }
            }
        }
        let progress = Progress::new(context.output);
        let all = groups.groups.iter().map(|group| group.targets.len());
        progress.begun(Scope::Tenant, all.sum());
        let seen = |more| (0..more).for_each(|_| progress.one_more(Scope::Tenant, false));
        let course = Course {
            seen: &seen,
            ..Course::new(Pace::Full, stop)
        };
        let report = compare(fleet, groups, course).await;
        progress.finished();
        Ok(report?)
    }

    /// What histories make of which nothing is known, tried out on a scratch server.
    async fn make(
        &self,
        settings: &Settings,
        fleet: &Fleet,
        prepare: Option<&str>,
        groups: &mut Groups,
    ) -> Result<(), CliError> {
        let server = self.scratch.start().await.map_err(|error| match error {
            CliError::Verify(VerifyError::Scratch(error @ ScratchError::NoSource { .. })) => {
                CliError::Usage(format!(
                    "{error}\n`--reference majority` needs no such server: it compares with what most schemas have"
                ))
            }
            error => error,
        })?;
        let scratch = Scratch {
            server: &server,
            settings,
            prepare,
        };
        let made = make(scratch, fleet, groups).await;
        let stopped = server.stop().await;
        // What went wrong first is told.
        made?;
        stopped?;
        Ok(())
    }
}

impl From<DriftError> for CliError {
    fn from(error: DriftError) -> Self {
        match error {
            DriftError::Fleet(error) => error.into(),
            DriftError::Verify(error) => error.into(),
            DriftError::Structure(error) => VerifyError::from(error).into(),
        }
    }
}
