//! Taking the fleet to a goal: where everything stands, which plans follow from it, and carrying them out.

mod breaker;
mod budget;
mod cohort;
mod conduct;
mod dependence;
mod diagnosis;
mod hand;
mod histories;
mod journey;
mod notices;
mod observer;
mod plans;
mod queue;
mod record;
mod report;
mod restore;
mod survey;

pub use breaker::Breaker;
pub use budget::Budget;
pub use cohort::{Blocked, Cohort, Cohorts, Why};
pub(crate) use cohort::{Dirty, ready};
pub(crate) use conduct::Work;
pub use conduct::{Ended, Run};
pub use diagnosis::{Finding, Wrong, diagnose};
pub(crate) use hand::{Hand, Lot};
pub(crate) use journey::plan_all;
pub use journey::{Request, travel};
pub use notices::NoticeGroup;
pub use observer::Observer;
pub(crate) use plans::{Aim, Found, Known, NoPlan, Plans};
pub(crate) use queue::{Learnt, Prepared};
pub use record::{Corrected, record};
pub use report::{FailureGroup, Report, ScopeReport};
pub use restore::{StoredTexts, stored_texts};
pub use survey::{Standing, Survey};
