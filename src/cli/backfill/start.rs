//! `backfill start`: goes over the rows of every chosen tenant that are not done yet.

use clap::Args;

use super::report;
use crate::{
    backfill::{Pace, Request, find, run},
    cli::{
        context::Context, error::CliError, exit::ExitCode, progress::Progress, selection::Selection,
    },
    config::Portion,
};

/// What `backfill start` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Start {
    /// The backfill: the name of its file in backfills/, without .sql
    name: String,
    /// Which tenants, as for `up` [default: all]
    selector: Option<String>,
    /// Begin again from the first row, also where it is done
    #[arg(long)]
    restart: bool,
    /// How many tenants may fail before no further one is begun: a number or a percentage
    #[arg(long, value_name = "N|P%")]
    max_failures: Option<Portion>,
}

impl Start {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let defaults = Pace {
            batch: settings.backfill.batch,
            rate: settings.backfill.rate,
        };
        let definition = find(&settings.migrations.tenant, &self.name, defaults)?;
        let fleet = context.fleet(&settings)?;
        let selection = Selection::take(&fleet, self.selector.as_deref(), context.output).await?;
        let request = Request {
            definition: &definition,
            select: &|standing| selection.holds(standing),
            restart: self.restart,
            max_failures: self.max_failures.unwrap_or(settings.apply.max_failures),
        };
        let progress = Progress::new(context.output);
        let stop = context.stop(&fleet);
        let report = run(&fleet, &request, &stop, &progress).await?;
        report::show(&report, &definition, &fleet, context.output);
        Ok(report::exit_code(&report))
    }
}
