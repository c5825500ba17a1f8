//! Taking the fleet to a goal: where everything stands, which plans follow from it, and carrying them out.

mod budget;
mod cohort;
mod conduct;
mod report;
mod survey;
mod travel;

pub use budget::Budget;
pub(crate) use cohort::ready;
pub use cohort::{Blocked, Cohort, Cohorts, Why};
pub use conduct::{Ended, Run};
pub use report::{FailureGroup, Report, ScopeReport};
pub use survey::{Standing, Survey};
pub use travel::{Observer, Request, travel};
