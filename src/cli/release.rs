//! `release`: says that the application before is gone, so that rollouts may take away what it needed.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    context::Context,
    error::CliError,
    exit::ExitCode,
    paint::Paint,
    table::{Table, caution, faint, good},
};
use crate::{
    fleet::Fleet,
    migration::{Scope, Version},
    rollout::{self, Asked},
    store::acks,
};

/// What can be done with contracts.
#[derive(Debug, Subcommand)]
pub(super) enum ReleaseCommand {
    /// Says that no application needs any more what a contract migration takes away
    Ack(Ack),
    /// Lists the migrations that rollouts wait with, and which of them are released
    List(List),
}

/// What `release ack` takes.
#[derive(Debug, Args)]
pub(super) struct Ack {
    /// The version of a migration that is marked `-- tenantry: phase=contract`
    version: Version,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What `release list` takes.
#[derive(Debug, Args)]
pub(super) struct List {}

#[derive(Serialize)]
struct Listed {
    migrations: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    version: Version,
    scope: Scope,
    name: String,
    contract: bool,
    requires_backfills: Vec<String>,
    acked_by: Option<String>,
    acked_at: Option<Timestamp>,
    reason: Option<String>,
}

impl ReleaseCommand {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        match self {
            Self::Ack(command) => command.run(context, &fleet).await,
            Self::List(_) => list(context, &fleet).await,
        }
    }
}

impl Ack {
    async fn run(self, context: &Context<'_>, fleet: &Fleet) -> Result<ExitCode, CliError> {
        let (version, why) = (self.version, self.reason.as_deref());
        let mut home = fleet.home().await?;
        let asked = rollout::release(fleet, home.connection(), version, why).await?;
        home.close().await;
        let told = serde_json::json!({
            "version": version, "action": "ack", "changed": asked == Asked::Done
        });
        let line = match asked {
            Asked::Done => format!("contract {version} is released"),
            Asked::Already | Asked::Nothing => format!("contract {version} was released before"),
        };
        context.output.result(&told, |_| line);
        Ok(ExitCode::Done)
    }
}

async fn list(context: &Context<'_>, fleet: &Fleet) -> Result<ExitCode, CliError> {
    let mut home = fleet.home().await?;
    let acks = acks::list(home.connection()).await?;
    home.close().await;
    let rows = rollout::held(fleet).into_iter().map(|held| {
        let ack = acks
            .iter()
            .find(|ack| ack.version == held.version.to_string());
        Row {
            version: held.version,
            scope: held.scope,
            name: held.name,
            contract: held.contract,
            requires_backfills: held.backfills,
            acked_by: ack.map(|ack| ack.who.clone()),
            acked_at: ack.map(|ack| ack.at.to_jiff()),
            reason: ack.and_then(|ack| ack.why.clone()),
        }
    });
    let listed = Listed {
        migrations: rows.collect(),
    };
    context
        .output
        .result(&listed, |paint| table(&listed.migrations, paint));
    Ok(ExitCode::Done)
}

fn table(rows: &[Row], paint: Paint) -> String {
    if rows.is_empty() {
        return "no migration waits for anything: none is marked `-- tenantry: phase=contract`"
            .to_owned();
    }
    let mut table = Table::new(paint, ["VERSION", "SCOPE", "NAME", "BACKFILLS", "RELEASED"]);
    for row in rows {
        let released = match (&row.acked_by, row.contract) {
            (Some(who), _) => good(format!("by {who}")),
            (None, true) => caution("no"),
            (None, false) => faint("needs no word"),
        };
        table.row([
            Cell::new(row.version),
            Cell::new(row.scope),
            Cell::new(&row.name),
            Cell::new(row.requires_backfills.join(", ")),
            released,
        ]);
    }
    table.render()
}
