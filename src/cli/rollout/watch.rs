//! `rollout watch`: one rollout until it is over or stands still.

use std::{io::IsTerminal, time::Duration};

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{bars::Bars, json, text, view::View};
use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode, human},
    fleet::Fleet,
};

/// What `rollout watch` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all are moved, 1 some are not, 7 it is paused, halted, cancelled or rolled back"
)]
pub(in crate::cli) struct Watch {
    /// Its number [default: the one that is under way, else the last one]
    id: Option<i64>,
}

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(250);

impl Watch {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        watch(context, &fleet, self.id).await
    }
}

/// Shows a rollout until it is over or stands still, and says how it ended.
pub(super) async fn watch(
    context: &Context<'_>,
    fleet: &Fleet,
    id: Option<i64>,
) -> Result<ExitCode, CliError> {
    let view = until_still(context, fleet, id).await?;
    Ok(view.map_or(ExitCode::Interrupted, |view| view.exit_code()))
}

/// Shows a rollout until it is over or stands still; none where that was interrupted.
pub(super) async fn until_still(
    context: &Context<'_>,
    fleet: &Fleet,
    id: Option<i64>,
) -> Result<Option<View>, CliError> {
    let stop = context.stop_alone();
    let output = context.output;
    let mut home = fleet.home().await?;
    let mut view = View::read(home.connection(), id).await?;
    let id = view.rollout.row.id;
    let mut told = String::new();
    let is_live = std::io::stderr().is_terminal() && !output.is_quiet();
    let mut bars = is_live.then(|| Bars::new(output));
    while !view.is_still() {
        match &mut bars {
            Some(bars) => bars.show(&view),
            None => {
                let line = line(&view);
                if line != told && !output.is_quiet() {
                    output.note(&line);
                    told = line;
                }
            }
        }
        if wait(&stop).await.is_none() {
            bars.into_iter().for_each(Bars::finish);
            return Ok(None);
        }
        view = View::read(home.connection(), Some(id)).await?;
    }
    bars.into_iter().for_each(Bars::finish);
    let view = View::all(home.connection(), Some(id)).await?;
    home.close().await;
    output.result(&json::view(&view), |paint| text::view(&view, paint));
    Ok(Some(view))
}

async fn wait(stop: &CancellationToken) -> Option<()> {
    stop.run_until_cancelled(tokio::time::sleep(LOOK)).await
}

/// `rollout 3 is running: wave 1 of 3, 40 of 90; 140 moved, 2 failed`.
fn line(view: &View) -> String {
    let row = &view.rollout.row;
    let state = view.rollout.word();
    let mut line = format!("rollout {} is {state}", row.id);
    let open = view.waves.iter().find(|wave| wave.state != "done");
    if let (Some(wave), Some(last)) = (open, view.waves.last()) {
        // A line a tenth is enough.
        let done = wave.done + wave.failed + wave.skipped;
        let tenth = (i64::from(wave.targets) / 10).max(1);
        let done = done / tenth * tenth;
        line.push_str(&format!(
            ": wave {} of {} ({}), {done} of {}",
            wave.number, last.number, wave.kind, wave.targets
        ));
    }
    let failed = view.count(|wave| wave.failed);
    if failed > 0 {
        line.push_str(&format!("; {} failed", human::number(failed)));
    }
    if let Some(why) = &row.why {
        line.push_str(&format!("; {why}"));
    }
    if let Some((shard, why)) = view.holds.first() {
        line.push_str(&format!("; shard {shard} waits: {why}"));
    }
    if view.daemons == 0 {
        line.push_str("; no daemon is running");
    }
    if view.lacks_files() {
        line.push_str(&format!("; {}", text::lacking(row.id)));
    }
    line
}
