//! `rollout pause`, `resume`, `cancel`, `retry`, `approve` and `rollback`: what somebody wants, with who and why.

use clap::Args;
use serde::Serialize;

use super::{view::find, watch::until_still};
use crate::{
    cli::{ask, context::Context, error::CliError, exit::ExitCode, human},
    fleet::Fleet,
    postgres::Connection,
    rollout::{self, Asked, Rollout, Wish},
    store::{changes, waves},
};

/// What most of them take.
#[derive(Debug, Args)]
pub(in crate::cli) struct Plain {
    /// Its number [default: the one that is under way, else the last one]
    id: Option<i64>,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What `rollout rollback` takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes with --wait: 0 all is taken back, 1 some is not, 7 it was paused, halted or cancelled"
)]
pub(in crate::cli) struct Back {
    #[command(flatten)]
    plain: Plain,
    /// Do not ask: needed where there is no terminal
    #[arg(long)]
    yes: bool,
    /// Return when all is taken back or it stands still, and tell by the exit code how it ended
    #[arg(long)]
    wait: bool,
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
        let asked = self.say(&fleet, home.connection(), &rollout, wish).await?;
        home.close().await;
        tell(context, &rollout, wish, asked);
        Ok(ExitCode::Done)
    }

    async fn say(
        &self,
        fleet: &Fleet,
        home: &mut Connection,
        rollout: &Rollout,
        wish: Wish,
    ) -> Result<Asked, CliError> {
        let (who, why) = (fleet.limits.who.as_str(), self.reason.as_deref());
        Ok(rollout::want(home, rollout, wish, who, why).await?)
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
        let id = rollout.row.id;
        let schemas = match (rollout.row.back, rollout.state.is_over()) {
            (false, _) => changes::changed(home.connection(), id).await?.len(),
            (true, true) => {
                let left = waves::left_back(home.connection(), id).await?;
                usize::try_from(left).unwrap_or_default()
            }
            // That was asked for.
            (true, false) => 0,
        };
        home.close().await;
        if !self.yes && schemas > 0 {
            let schemas = human::count(schemas, "schema", "schemas");
            let about = format!(
                "This takes back, with the data in it, what rollout {id} has changed in {schemas}."
            );
            if !ask::go_on(context.output, &about)? {
                return Ok(ExitCode::Failed);
            }
        }
        let (wish, said) = (Wish::RollBack, self.plain);
        let mut home = fleet.home().await?;
        let rollout = find(home.connection(), Some(id)).await?;
        let asked = said.say(&fleet, home.connection(), &rollout, wish).await?;
        home.close().await;
        if !self.wait {
            tell(context, &rollout, wish, asked);
            return Ok(ExitCode::Done);
        }
        let view = until_still(context, &fleet, Some(id)).await?;
        Ok(view.map_or(ExitCode::Interrupted, |view| view.exit_code_back()))
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
        Asked::Nothing => format!(
            "rollout {}: nothing is left to be taken back",
            rollout.row.id
        ),
    });
}
