//! `rollout pause`, `resume`, `cancel`, `retry`, `approve` and `rollback`: what somebody wants, with who and why.

use clap::Args;
use serde::Serialize;

use super::view::find;
use crate::{
    cli::{ask, context::Context, error::CliError, exit::ExitCode, human},
    fleet::Fleet,
    rollout::{self, Asked, Rollout, Wish},
    store::changes,
};

/// What most of them take.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plain {
    /// Its number [default: the one that is under way]
    id: Option<i64>,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What `rollout rollback` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Back {
    #[command(flatten)]
    plain: Plain,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    rollout: i64,
    action: &'a str,
    /// Whether it was not so before.
    changed: bool,
}

impl Plain {
    pub(super) async fn wish(
        self,
        context: &Context<'_>,
        wish: Wish,
    ) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let mut home = fleet.home().await?;
        let rollout = find(home.connection(), self.id).await?;
        let (who, why) = (fleet.limits.who.as_str(), self.reason.as_deref());
        let asked = rollout::want(home.connection(), &rollout, wish, who, why).await?;
        home.close().await;
        tell(context, &rollout, wish, asked);
        Ok(ExitCode::Done)
    }

    pub(super) async fn retry(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let mut home = fleet.home().await?;
        let rollout = find(home.connection(), self.id).await?;
        let (who, why) = (fleet.limits.who.as_str(), self.reason.as_deref());
        let again = rollout::retry(home.connection(), &rollout, who, why).await?;
        home.close().await;
        let id = rollout.row.id;
        let told = serde_json::json!({ "rollout": id, "action": "retry", "runs": again });
        let again = human::count(
            usize::try_from(again).unwrap_or_default(),
            "run is",
            "runs are",
        );
        let line = format!("rollout {id}: {again} tried again");
        context.output.result(&told, |_| line);
        Ok(ExitCode::Done)
    }

    pub(super) async fn approve(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let mut home = fleet.home().await?;
        let rollout = find(home.connection(), self.id).await?;
        let (who, why) = (fleet.limits.who.as_str(), self.reason.as_deref());
        let wave = rollout::approve(home.connection(), &rollout, who, why).await?;
        home.close().await;
        let id = rollout.row.id;
        let told = serde_json::json!({ "rollout": id, "action": "approve", "wave": wave });
        let line = format!("rollout {id}: wave {wave} may begin");
        context.output.result(&told, |_| line);
        Ok(ExitCode::Done)
    }
}

impl Back {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = Fleet::without_files(&settings)?;
        let mut home = fleet.home().await?;
        let rollout = find(home.connection(), self.plain.id).await?;
        let changed = changes::changed(home.connection(), rollout.row.id).await?;
        home.close().await;
        if !self.yes && !changed.is_empty() && !rollout.row.back {
            let schemas = human::count(changed.len(), "schema", "schemas");
            let id = rollout.row.id;
            let about = format!(
                "This takes back, with the data in it, what rollout {id} has changed in {schemas}."
            );
            if !ask::go_on(context.output, &about)? {
                return Ok(ExitCode::Failed);
            }
        }
        let plain = Plain {
            id: Some(rollout.row.id),
            ..self.plain
        };
        plain.wish(context, Wish::RollBack).await
    }
}

fn tell(context: &Context<'_>, rollout: &Rollout, wish: Wish, asked: Asked) {
    let (action, done) = match wish {
        Wish::Pause => ("pause", "stands still as soon as what runs has ended"),
        Wish::Resume => ("resume", "goes on"),
        Wish::Cancel => ("cancel", "ends as soon as what runs has ended"),
        Wish::RollBack => ("rollback", "takes back what it has changed"),
    };
    let told = Told {
        rollout: rollout.row.id,
        action,
        changed: asked == Asked::Done,
    };
    context.output.result(&told, |_| match asked {
        Asked::Done => format!("rollout {} {done}", rollout.row.id),
        Asked::Already => format!("rollout {}: that was wanted before", rollout.row.id),
    });
}
