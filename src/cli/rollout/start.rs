//! `rollout start`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{json, text, view::View, watch::watch};
use crate::{
    cli::{context::Context, error::CliError, exit::ExitCode},
    config::{Approval, Portion, Settings, Strategy, WhenSpent},
    migration::Version,
    plan::Goal,
    rollout::{self, Ask},
    tenant::selector::Selector,
};

/// What `rollout start` takes. What is not said is taken from `[rollout]` in the settings.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes with --wait: 0 all are moved, 1 some are not, 7 it was paused, halted, cancelled or rolled back"
)]
pub(in crate::cli) struct Start {
    /// Which tenants, as for `up` but for file: [default: all]
    selector: Option<String>,
    /// Up to this version [default: all that the files have]
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
    /// How many tenants go first: a number or a percentage
    #[arg(long, value_name = "N|P%")]
    canaries: Option<Portion>,
    /// Which tenants go first besides, as a selector
    #[arg(long, value_name = "SELECTOR")]
    canary: Option<String>,
    /// How much of the fleet is moved when each of the following waves is done, such as 10%,50%
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    waves: Option<Vec<Portion>>,
    /// Each of these waves is that many times as large as the one before instead, from the canaries on
    #[arg(long, value_name = "N", conflicts_with = "waves", value_parser = clap::value_parser!(u32).range(2..))]
    growth: Option<u32>,
    /// How long each wave is watched before the next one begins
    #[arg(long, value_name = "TIME", value_parser = duration)]
    soak: Option<Duration>,
    /// Before which waves somebody has to say that they may begin
    #[arg(long, value_enum, value_name = "WHICH")]
    approval: Option<ApprovalWord>,
    /// How many tenants may fail in all before no further one is begun: a number or a percentage
    #[arg(long, value_name = "N|P%")]
    max_failures: Option<Portion>,
    /// The same within one wave
    #[arg(long, value_name = "N|P%")]
    max_failures_per_wave: Option<Portion>,
    /// What happens when more have failed
    #[arg(long, value_enum, value_name = "WHAT")]
    when_spent: Option<SpentWord>,
    /// Move tenants outside of the maintenance windows, too: for emergencies; it is kept in the rollout's events
    #[arg(long, visible_alias = "now")]
    ignore_windows: bool,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Return when it is over or stands still, and tell by the exit code how it ended
    #[arg(long)]
    wait: bool,
}

/// As in the settings. Without a text for each value, help shows them on one line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ApprovalWord {
    Never,
    Canaries,
    Each,
}

/// As in the settings. Without a text for each value, help shows them on one line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SpentWord {
    Pause,
    Halt,
    Rollback,
}

impl Start {
    pub(super) async fn run(self, context: &Context<'_>) -> Result<ExitCode, CliError> {
        let settings = context.settings()?;
        let fleet = context.fleet(&settings)?;
        self.check()?;
        let strategy = self.strategy(&settings);
        let ask = Ask {
            goal: self.to.map_or(Goal::Latest, Goal::UpTo),
            selector: self.selector.as_deref(),
            strategy: &strategy,
            reason: self.reason.as_deref(),
            ignores_windows: self.ignore_windows,
        };
        let mut home = fleet.home().await?;
        let id = rollout::start(&fleet, home.connection(), &ask).await?;
        home.close().await;
        if self.wait {
            return watch(context, &fleet, Some(id)).await;
        }
        let view = View::take(&fleet, Some(id)).await?;
        let output = context.output;
        output.result(&json::view(&view), |paint| text::head(&view, paint));
        output.note(&format!("`tenantry rollout watch {id}` shows how it goes"));
        Ok(ExitCode::Done)
    }

    /// What the daemons could only find out later.
    fn check(&self) -> Result<(), CliError> {
        for selector in [&self.selector, &self.canary].into_iter().flatten() {
            Selector::parse(selector, |_| {
                Err(std::io::Error::other(
                    "the daemons, which plan a rollout, have not this file: label those tenants, and use label:KEY=VALUE",
                ))
            })?;
        }
        Ok(())
    }

    fn strategy(&self, settings: &Settings) -> Strategy {
        let set = settings.rollout.clone();
        let (growth, waves) = match (self.growth, self.waves.clone()) {
            (None, Some(waves)) => (0, waves),
            (None, None) if set.growth == 0 => (0, set.waves),
            (growth, _) => (growth.unwrap_or(set.growth), Vec::new()),
        };
        Strategy {
            canaries: self.canaries.unwrap_or(set.canaries),
            canary: self.canary.clone().unwrap_or(set.canary),
            waves,
            growth,
            soak: self.soak.unwrap_or(set.soak),
            approval: self.approval.map_or(set.approval, |word| match word {
                ApprovalWord::Never => Approval::Never,
                ApprovalWord::Canaries => Approval::Canaries,
                ApprovalWord::Each => Approval::Each,
            }),
            max_failures: self.max_failures.unwrap_or(set.max_failures),
            max_failures_per_wave: self
                .max_failures_per_wave
                .unwrap_or(set.max_failures_per_wave),
            when_spent: self.when_spent.map_or(set.when_spent, |word| match word {
                SpentWord::Pause => WhenSpent::Pause,
                SpentWord::Halt => WhenSpent::Halt,
                SpentWord::Rollback => WhenSpent::Rollback,
            }),
            windows: set.windows,
            time_zone: set.time_zone,
        }
    }
}

/// A time as people write it, such as `30s` or `7d`.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration::read_with_days(text)
        .ok_or_else(|| "write a time with its unit, such as 500ms, 30s or 1h 30min".to_owned())
}
