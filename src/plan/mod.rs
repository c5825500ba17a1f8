//! What should happen: pure functions from a set, a history and a goal to a plan, or to the reason why there is none.

mod blueprint;
mod correct;
mod drift;
mod goal;
mod planner;
mod refusal;

pub use blueprint::{Blueprint, Built, NOBODY, Origin, PREAMBLE, Unfit, Why};
pub use correct::{Amendment, Correction, correct};
pub use drift::{Drift, drift};
pub use goal::Goal;
pub use planner::{Plan, Standing, Step, Stored, plan};
pub use refusal::Refusal;

#[cfg(test)]
mod tests;
