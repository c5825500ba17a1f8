//! The fleet taken to a goal wave by wave, by as many daemons as there are, and back again.
//!
//! All that is known of a rollout stands in the home database, so that it outlives whoever began it. One daemon at a time
//! conducts: it plans, begins waves and ends them. All of them claim runs and carry them. People say what they want, by
//! `want` and its kin, and a daemon sees to it.

mod ask;
mod carry;
mod command;
mod conduct;
mod decide;
mod due;
mod errands;
mod error;
mod found;
mod freeze;
mod gate;
mod gauge;
mod hand_over;
mod hooks;
mod http;
mod lot;
mod release;
mod report;
mod run;
mod settle;
mod sift;
mod state;
mod waves;
mod window;
mod work;

pub use ask::{Ask, Asked, Wish, approve, release, retry, start, want};
pub use conduct::{Conductor, Look, conduct};
pub use errands::Errands;
pub use error::RolloutError;
pub use hand_over::changes;
pub use release::{Held, held};
pub use state::{Event, IllegalTransition, State};
pub use work::{Crew, work};

use crate::{
    config::Strategy,
    fleet::Fleet,
    history::{Applied, Digest},
    migration::{MigrationSet, Version},
    plan::Goal,
    store::rollouts::Row,
};

/// A rollout, as the home database has it.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// All of its row.
    pub row: Row,
    /// Where it is in its life.
    pub state: State,
    /// Where it goes.
    pub goal: Goal,
    /// How far it goes for now.
    pub reach: Goal,
    /// How.
    pub strategy: Strategy,
}

/// A daemon, as the others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: i64,
    /// Its name, for people.
    pub name: String,
}

impl Rollout {
    /// Reads a row.
    ///
    /// # Errors
    /// Where a newer tenantry wrote what this one cannot read.
    pub fn of(row: Row) -> Result<Self, RolloutError> {
        let unreadable = |what: &'static str, value: String| RolloutError::Unreadable {
            id: row.id,
            what,
            value,
        };
        let state = row.state.parse();
        let state = state.map_err(|()| unreadable("a state", row.state.clone()))?;
        let strategy = serde_json::from_value(row.strategy.0.clone())
            .map_err(|error| unreadable("a strategy", error.to_string()))?;
        let goal = |version: &Option<String>| match version {
            None => Ok(Goal::Latest),
            Some(version) => {
                let read = version.parse::<Version>().map(Goal::UpTo);
                read.map_err(|_| unreadable("a version", version.clone()))
            }
        };
        let (reach, goal) = (goal(&row.reach)?, goal(&row.goal)?);
        let reach = match reach {
            Goal::UpTo(_) => reach,
            _ => goal,
        };
        Ok(Self {
            row,
            state,
            goal,
            reach,
            strategy,
        })
    }

    /// Whether it goes on with the files only that it was started with. Whoever stops it, or takes it back by the texts that
    /// the histories have stored, needs none.
    pub fn needs_files(&self) -> bool {
        !self.row.back && !self.state.is_over() && self.row.wanted == "run"
    }

    /// What it is about to be, where somebody wants it to be something else than it is, or what it is.
    pub fn word(&self) -> &'static str {
        let (back, wanted) = (self.row.back, self.row.wanted.as_str());
        match (self.state, wanted) {
            (_, "back") if !back => "about to be taken back",
            (State::Complete, _) if back => "rolled back",
            (state, _) if state.is_over() => state.as_str(),
            (_, "cancel") => "being cancelled",
            (State::Running, "pause") => "pausing",
            // Nobody has planned it, and nobody does.
            (State::Waiting, "pause") => "paused",
            (State::Running, _) if back => "rolling back",
            (state, _) => state.as_str(),
        }
    }

    /// Whether the fleet's files are those that it was started with.
    pub fn is_of(&self, fleet: &Fleet) -> bool {
        self.row.files == files(fleet, self.goal).0
    }
}

/// The hash of the files up to a goal.
pub fn files(fleet: &Fleet, goal: Goal) -> Digest {
    let up_to = |set: &MigrationSet| -> Vec<Applied> {
        let migrations = set.migrations.iter();
        let within = migrations.filter(|migration| match goal {
            Goal::UpTo(last) => migration.version <= last,
            _ => true,
        });
        within.map(|migration| Applied::of(migration)).collect()
    };
    Digest::of_digests([
        Digest::of(&up_to(&fleet.shared)),
        Digest::of_repeatables(fleet.shared.repeatables.iter().map(AsRef::as_ref)),
        Digest::of(&up_to(&fleet.tenant)),
        Digest::of_repeatables(fleet.tenant.repeatables.iter().map(AsRef::as_ref)),
    ])
}
