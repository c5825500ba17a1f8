//! `rollout list`.

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use super::{json, text, view::lacks_files};
use crate::{
    cli::{
        context::Context,
        error::CliError,
        exit::ExitCode,
        human,
        paint::Paint,
        table::{Table, faint},
    },
    fleet::Fleet,
    rollout::Rollout,
    store::{daemons, rollouts},
};

/// What `rollout list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// How many, the latest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    last: u32,
}

#[derive(Serialize)]
struct Listed<'a> {
    rollouts: Vec<json::RolloutJson<'a>>,
}

impl List {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let mut home = fleet.home().await?;
        let rows = rollouts::list(home.connection(), self.last.into()).await?;
        let foreign = daemons::foreign(home.connection()).await?;
        home.close().await;
        let rollouts = rows
            .into_iter()
            .map(Rollout::of)
            .collect::<Result<Vec<_>, _>>()?;
        let listed = Listed {
            rollouts: rollouts
                .iter()
                .map(|rollout| json::rollout(rollout, lacks_files(rollout, foreign)))
                .collect(),
        };
        context.output.result(&listed, |paint| {
            let lacking = rollouts
                .iter()
                .find(|rollout| lacks_files(rollout, foreign));
            let warning = lacking.map(|rollout| {
                let what = format!(
                    "rollout {}: {}",
                    rollout.row.id,
                    text::lacking(rollout.row.id)
                );
                paint.labelled("warning:", &what)
            });
            let lines = [Some(table(&rollouts, paint)), warning];
            lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
        });
        Ok(ExitCode::Done)
    }
}

fn table(rollouts: &[Rollout], paint: Paint) -> String {
    if rollouts.is_empty() {
        return "no rollouts: `tenantry rollout start` begins one".to_owned();
    }
    let headings = [
        "ROLLOUT", "STATE", "GOAL", "TENANTS", "STARTED", "BY", "REASON",
    ];
    let mut table = Table::new(paint, headings).numbers(&[0, 3]);
    for rollout in rollouts {
        let row = &rollout.row;
        let targets = row
            .targets
            .and_then(|targets| usize::try_from(targets).ok());
        table.row([
            Cell::new(row.id),
            Cell::new(text::state(rollout, paint)),
            Cell::new(row.goal.as_deref().unwrap_or("all")),
            targets.map_or_else(
                || faint("not planned"),
                |targets| Cell::new(human::number(targets)),
            ),
            Cell::new(text::ago(row.created_at.to_jiff())),
            Cell::new(&row.who),
            Cell::new(row.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table.render()
}
