//! Taking the fleet to a goal: where everything stands, which plans follow from it, and carrying them out.

mod budget;
mod cohort;
mod conduct;
mod dependence;
mod diagnosis;
mod histories;
mod queue;
mod record;
mod report;
mod restore;
mod survey;
mod travel;

pub use budget::Budget;
pub use cohort::{Blocked, Cohort, Cohorts, Why};
pub(crate) use cohort::{Dirty, ready};
pub use conduct::{Ended, Run};
pub use diagnosis::{Finding, Wrong, diagnose};
pub use record::{Corrected, record};
pub use report::{FailureGroup, Report, ScopeReport};
pub use restore::{StoredTexts, stored_texts};
pub use survey::{Standing, Survey};
pub use travel::{Observer, Request, travel};
