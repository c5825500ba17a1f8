//! `[rollout]`: how the fleet is taken to a goal, wave by wave, where whoever starts a rollout does not say otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Portion, Window, Zone, checks::Checks, duration};

/// How a rollout goes through the fleet. Kept with the rollout, so that a change of the settings is for the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// How many tenants go first; zero for none.
    pub canaries: Portion,
    /// Which tenants go first besides, as a selector; empty for none.
    pub canary: String,
    /// How much of the fleet is moved when each of the following waves is done; what is left comes last.
    pub waves: Vec<Portion>,
    /// How many times as large as the one before each wave is instead, from the canaries on; zero where `waves` say it.
    pub growth: u32,
    /// How long each wave is watched before the next one begins.
    #[serde(
        deserialize_with = "duration::friendly",
        serialize_with = "duration::write"
    )]
    pub soak: Duration,
    /// Before which waves somebody has to say that they may begin.
    pub approval: Approval,
    /// How many tenants may fail in all.
    pub max_failures: Portion,
    /// How many tenants of one wave may fail.
    pub max_failures_per_wave: Portion,
    /// What happens when more have.
    pub when_spent: WhenSpent,
    /// The hours in which runs may be begun; none for any.
    pub windows: Vec<Window>,
    /// The time zone in which those hours are meant.
    pub time_zone: Zone,
}

/// Before which waves somebody has to say that they may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// None.
    Never,
    /// The first after the canaries.
    Canaries,
    /// Each but the first.
    Each,
}

/// What happens when more tenants have failed than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenSpent {
    /// The rollout is paused: whoever resumes it forgives what has failed.
    Pause,
    /// It is halted: what has failed has to be retried, or all of it taken back.
    Halt,
    /// What it has changed is taken back.
    Rollback,
}

impl Strategy {
    /// `has_waves` says whether somebody has set the waves.
    pub(super) fn check(&self, has_waves: bool, checks: &mut Checks) {
        checks.require(
            self.growth != 1,
            "rollout.growth",
            "must be at least 2, or 0 for none: with 1 no wave would be larger than the one before",
        );
        checks.require(
            self.growth == 0 || self.waves.is_empty() || !has_waves,
            "rollout.growth",
            "cannot be set together with rollout.waves: leave out one of them",
        );
        let grows = self.waves.windows(2).all(|pair| match pair {
            [Portion::Count(a), Portion::Count(b)] => a < b,
            [Portion::Share(a), Portion::Share(b)] => a < b,
            // How many a share is, only the fleet tells.
            _ => true,
        });
        checks.require(
            grows,
            "rollout.waves",
            "each wave must be larger than the one before: they count what is moved when it is done",
        );
    }
}
