//! What should happen: pure functions from a set, a history and a goal to a plan, or to the reason why there is none.

mod blueprint;
mod correct;
mod drift;
mod goal;
mod planner;
mod refusal;
mod unfit;

pub use blueprint::{Beside, Blueprint, Built, NOBODY, Origin, PREAMBLE};
pub use correct::{Amendment, Correction, correct};
pub use drift::{Drift, drift};
pub use goal::Goal;
pub use planner::{Plan, Standing, Step, Stored, plan};
pub use refusal::Refusal;
pub use unfit::{Unfit, Why};

#[cfg(test)]
mod tests;
