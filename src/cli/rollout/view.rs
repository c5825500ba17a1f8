//! One rollout, read from the home database for being shown.

use crate::{
    cli::{error::CliError, exit::ExitCode},
    fleet::Fleet,
    postgres::Connection,
    rollout::{Rollout, RolloutError, State},
    store::{
        daemons,
        events::{self, Event},
        rollouts,
        runs::{self, Shown},
        tally::{self, Tally},
        tenants::{self, Tenant},
        waves::{self, Wave},
    },
};

/// So many runs in trouble, tenants that joined and events are read where a rollout is looked at again and again.
const MOST: i64 = 1000;

/// One rollout, and all that is shown of it.
pub(super) struct View {
    pub(super) rollout: Rollout,
    pub(super) waves: Vec<Wave>,
    /// How many tenants it is about, each counted once.
    pub(super) tally: Tally,
    pub(super) troubles: Vec<Shown>,
    pub(super) events: Vec<Event>,
    /// Who was registered since it was planned, as long as it was under way: built up to its goal, and in none of its waves.
    pub(super) joined: Vec<Tenant>,
    /// Shards on which nothing more is begun for now, and why.
    pub(super) holds: Vec<(String, String)>,
    /// How many daemons live.
    pub(super) daemons: i64,
    /// The rollout of which none of them has the files.
    pub(super) foreign: Option<i64>,
}

/// The rollout that was named; else the one that is under way, else the last one.
pub(in crate::cli) async fn find(
    home: &mut Connection,
    id: Option<i64>,
) -> Result<Rollout, CliError> {
    let row = match id {
        Some(id) => rollouts::get(home, id).await?,
        None => match rollouts::active(home).await? {
            Some(row) => Some(row),
            None => rollouts::list(home, 1).await?.pop(),
        },
    };
    let row = row.ok_or(match id {
        Some(id) => RolloutError::Unknown(id),
        None => RolloutError::NoneActive,
    })?;
    Ok(Rollout::of(row)?)
}

/// Whether a rollout needs files that no daemon has, `foreign` being the one of which none has them.
pub(super) fn lacks_files(rollout: &Rollout, foreign: Option<i64>) -> bool {
    rollout.needs_files() && foreign == Some(rollout.row.id)
}

impl View {
    pub(super) async fn take(fleet: &Fleet, id: Option<i64>) -> Result<Self, CliError> {
        let mut home = fleet.home().await?;
        let view = Self::all(home.connection(), id).await;
        home.close().await;
        view
    }

    /// All there is to be shown.
    pub(super) async fn all(home: &mut Connection, id: Option<i64>) -> Result<Self, CliError> {
        Self::of(home, id, i64::MAX).await
    }

    /// As much as is worth to be shown of one that is under way.
    pub(super) async fn read(home: &mut Connection, id: Option<i64>) -> Result<Self, CliError> {
        Self::of(home, id, MOST).await
    }

    async fn of(home: &mut Connection, id: Option<i64>, most: i64) -> Result<Self, CliError> {
        let rollout = find(home, id).await?;
        let id = rollout.row.id;
        let joined = match rollout.row.begun_at {
            Some(planned) => {
                let ended = rollout.row.ended_at.map(jiff_sqlx::Timestamp::to_jiff);
                tenants::registered(home, planned.to_jiff(), ended, most).await?
            }
            None => Vec::new(),
        };
        Ok(Self {
            joined,
            waves: waves::list(home, id).await?,
            tally: tally::count(home, id).await?,
            troubles: runs::troubles(home, id, most).await?,
            events: events::of_rollout(home, id, most).await?,
            daemons: daemons::living(home).await?,
            foreign: daemons::foreign(home).await?,
            holds: daemons::holds(home).await?,
            rollout,
        })
    }

    /// How many of its tenants were at the goal already: those that are in none of its waves.
    pub(super) fn current(&self) -> Option<i64> {
        let targets = i64::from(self.rollout.row.targets?);
        Some((targets - self.tally.planned).max(0))
    }

    /// Whether daemons live, and none of them has the files that it needs to go on.
    pub(super) fn lacks_files(&self) -> bool {
        lacks_files(&self.rollout, self.foreign)
    }

    /// How many runs ended in this way.
    pub(super) fn count(&self, of: fn(&Wave) -> i64) -> usize {
        let all: i64 = self.waves.iter().map(of).sum();
        usize::try_from(all).unwrap_or_default()
    }

    /// How many runs of a wave have met something and are tried again.
    pub(super) fn held_up(&self, wave: i32) -> usize {
        let of_wave = self.troubles.iter().filter(|run| run.wave == wave);
        let is_open = |run: &&Shown| !["failed", "skipped"].contains(&run.state.as_str());
        of_wave.filter(is_open).count()
    }

    /// Whether nothing happens any more unless somebody asks for it.
    pub(super) fn is_still(&self) -> bool {
        let row = &self.rollout.row;
        let turns = row.wanted == "back" && !row.back;
        match self.rollout.state {
            State::Complete | State::Cancelled => !turns,
            State::Paused | State::Halted => row.wanted == "pause",
            State::Waiting => row.wanted == "pause",
            State::Running => false,
        }
    }

    /// How the process ends that waited for it.
    pub(super) fn exit_code(&self) -> ExitCode {
        let unmoved = self.count(|wave| wave.failed + wave.skipped);
        match self.rollout.state {
            State::Complete if self.rollout.row.back => ExitCode::Halted,
            State::Complete if unmoved == 0 => ExitCode::Done,
            State::Complete => ExitCode::Failed,
            State::Waiting if self.rollout.row.wanted == "pause" => ExitCode::Halted,
            State::Waiting | State::Running => ExitCode::Pending,
            State::Paused | State::Halted | State::Cancelled => ExitCode::Halted,
        }
    }

    /// How the process ends that waited for it to be taken back.
    pub(super) fn exit_code_back(&self) -> ExitCode {
        let back = self.waves.iter().filter(|wave| wave.kind.ends_with("back"));
        let left: i64 = back.map(|wave| wave.failed + wave.skipped).sum();
        match self.rollout.state {
            State::Complete if self.rollout.row.back && left == 0 => ExitCode::Done,
            State::Complete if self.rollout.row.back => ExitCode::Failed,
            _ => self.exit_code(),
        }
    }
}
