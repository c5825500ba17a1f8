//! What a rollout's conductor does next: pure, from what the home database says of the rollout and its waves.

use super::state::State;
use crate::{
    config::{Strategy, WhenSpent},
    store::rollouts::{Step, Wave},
};

/// What the conductor looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) state: State,
    /// `run`, `pause`, `cancel` or `back`.
    pub(super) wanted: &'a str,
    pub(super) is_planned: bool,
    /// Whether it takes back what it did.
    pub(super) back: bool,
    pub(super) budget: i32,
    pub(super) forgiven: i32,
    pub(super) waves: &'a [Wave],
    pub(super) strategy: &'a Strategy,
}

/// What the conductor does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// Freezes the targets, and plans the waves.
    Plan,
    /// Stands still, as somebody wants.
    Pause,
    /// Goes on; what has failed is forgiven.
    Resume,
    /// Ends it, as somebody wants.
    Cancel,
    /// Turns round.
    TakeBack,
    /// Stops, since too much has failed.
    Spent(String),
    /// Moves a wave on.
    Wave(i32, Step),
    /// Ends it.
    Complete,
    /// Nothing, until something changes; why, where it is not for runs to end.
    Wait(Option<String>),
}

/// What to do next.
pub(super) fn decide(view: &View<'_>) -> Move {
    let is_busy = view.waves.iter().any(|wave| wave.running > 0);
    match (view.state, view.wanted) {
        (State::Complete | State::Cancelled, "back") if !view.back => Move::TakeBack,
        (State::Complete | State::Cancelled, _) => Move::Wait(None),
        // What is under way ends first: whoever is told that it stands still can rely on it.
        (_, "pause" | "cancel") if is_busy => Move::Wait(None),
        (State::Running, "pause") => Move::Pause,
        (_, "pause") => Move::Wait(None),
        (_, "cancel") => Move::Cancel,
        (_, "back") if !view.is_planned => Move::Cancel,
        (_, "back") if !view.back && is_busy => Move::Wait(None),
        (_, "back") if !view.back => Move::TakeBack,
        (_, _) if !view.is_planned => Move::Plan,
        (State::Paused | State::Halted, _) => Move::Resume,
        (State::Waiting | State::Running, _) => waves(view),
    }
}

fn waves(view: &View<'_>) -> Move {
    if let Some(why) = spent(view) {
        // The others are told by the claims, which give nobody anything any more.
        let is_busy = view.waves.iter().any(|wave| wave.running > 0);
        return if is_busy {
            Move::Wait(Some(why))
        } else {
            Move::Spent(why)
        };
    }
    for wave in view.waves {
        let ended = wave.pending + wave.running == 0;
        let step = match wave.state.as_str() {
            "done" => continue,
            "waiting" if wave.needs_approval && wave.approved_by.is_none() => {
                let number = wave.number;
                let why = format!("wave {number} waits for `tenantry rollout approve`");
                return Move::Wait(Some(why));
            }
            "waiting" => Step::Begin,
            "running" if ended && failed_shared(wave) => {
                return Move::Spent(
                    "a shared schema could not be moved, and tenants depend on it".to_owned(),
                );
            }
            // The last one is followed by nothing.
            "running" if ended && (view.strategy.soak.is_zero() || is_last(view, wave)) => {
                Step::End
            }
            "running" if ended => Step::Soak(view.strategy.soak),
            "running" => return Move::Wait(None),
            _ if wave.has_soaked => Step::End,
            _ => return Move::Wait(Some(format!("wave {} is watched", wave.number))),
        };
        return Move::Wave(wave.number, step);
    }
    Move::Complete
}

/// Why no further run may be begun, where so many have failed.
fn spent(view: &View<'_>) -> Option<String> {
    let failed: i64 = view.waves.iter().map(|wave| wave.failed).sum();
    let (budget, forgiven) = (i64::from(view.budget), i64::from(view.forgiven));
    if failed - forgiven > budget {
        return Some(format!("{failed} failed, and {} may", budget + forgiven));
    }
    let over = |wave: &&Wave| wave.failed - i64::from(wave.forgiven) > i64::from(wave.budget);
    let wave = view.waves.iter().find(over)?;
    let may = wave.budget + wave.forgiven;
    Some(format!(
        "{} of wave {} failed, and {may} may",
        wave.failed, wave.number
    ))
}

fn failed_shared(wave: &Wave) -> bool {
    wave.kind == "shared" && wave.failed + wave.skipped > 0
}

fn is_last(view: &View<'_>, wave: &Wave) -> bool {
    view.waves
        .last()
        .is_some_and(|last| last.number == wave.number)
}

/// What is wanted of a rollout whose failure budget is spent.
pub(super) fn when_spent(strategy: &Strategy, back: bool) -> WhenSpent {
    match strategy.when_spent {
        // What cannot be taken back is for a person to look at.
        WhenSpent::Rollback if back => WhenSpent::Halt,
        other => other,
    }
}
