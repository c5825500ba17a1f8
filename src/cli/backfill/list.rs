//! `backfill list`: the backfills there are, and how far they have come.

use std::collections::BTreeMap;

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;

use crate::{
    backfill::{names, progress},
    cli::{
        context::Context,
        error::CliError,
        exit::ExitCode,
        human,
        paint::Paint,
        report::json::{UnwellJson, unwell},
        table::{Table, caution, faint, good},
    },
    migration::Scope,
    travel::Survey,
};

/// What `backfill list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {}

#[derive(Serialize)]
struct Listed {
    backfills: Vec<Backfill>,
    /// Tenants that a backfill goes over.
    tenants: usize,
    unwell: Vec<UnwellJson>,
}

#[derive(Debug, Default, Serialize)]
struct Backfill {
    name: String,
    /// Whether its file is there.
    file: bool,
    /// Tenants in which it was begun.
    begun: u64,
    /// Tenants in which it is done.
    done: u64,
    rows_done: u64,
}

impl List {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        let mut backfills: BTreeMap<String, Backfill> = BTreeMap::new();
        for name in names(&settings.migrations.tenant)? {
            backfills.entry(name).or_default().file = true;
        }
        let survey = Survey::take(&fleet).await?;
        for found in progress(&fleet, &survey).await? {
            let backfill = backfills.entry(found.backfill).or_default();
            backfill.begun = found.schemas;
            backfill.done = found.done;
            backfill.rows_done = found.rows_done;
        }
        let backfills = backfills.into_iter();
        let named = |(name, backfill)| Backfill { name, ..backfill };
        let listed = Listed {
            backfills: backfills.map(named).collect(),
            tenants: survey.moving(Scope::Tenant).count(),
            unwell: unwell(&survey.away),
        };
        context.output.result(&listed, |paint| text(&listed, paint));
        for (shard, why) in &survey.away {
            let why = format!("shard {shard} cannot be worked on, and is not counted: {why}");
            context.output.error(&why);
        }
        Ok(if survey.away.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Failed
        })
    }
}

fn text(listed: &Listed, paint: Paint) -> String {
    if listed.backfills.is_empty() {
        return "no backfills: each is a file in backfills/ beside the tenants' migrations"
            .to_owned();
    }
    let headings = ["BACKFILL", "TENANTS", "BEGUN", "DONE", "ROWS", "FILE"];
    let mut table = Table::new(paint, headings).numbers(&[1, 2, 3, 4]);
    for backfill in &listed.backfills {
        let number = |count: u64| human::number(usize::try_from(count).unwrap_or(usize::MAX));
        table.row([
            Cell::new(&backfill.name),
            Cell::new(human::number(listed.tenants)),
            Cell::new(number(backfill.begun)),
            if backfill.done > 0 && backfill.done == backfill.begun {
                good(number(backfill.done))
            } else {
                Cell::new(number(backfill.done))
            },
            Cell::new(number(backfill.rows_done)),
            if backfill.file {
                faint("there")
            } else {
                caution("gone")
            },
        ]);
    }
    table.render()
}
