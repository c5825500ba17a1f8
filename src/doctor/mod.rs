//! What is wrong with the databases themselves, before it is in the way: settings, privileges, limits, leftovers.
//!
//! Only reads. Each database costs the same number of queries, however many tenants it holds; one that cannot be reached is
//! a finding, not an end.

pub mod checks;
mod examine;
mod finding;
mod patient;

pub use checks::CHECKS;
pub use examine::{CLOCKS, CONNECTION, Examination, Examined, TWICE, examine};
pub use finding::{Finding, Found, Severity};
pub use patient::Patient;

use futures::future::BoxFuture;

/// What a look comes to. One that finds nothing wrong says what it saw, as [`Severity::Ok`]; nothing at all is said where
/// there is nothing to look at.
pub type Looking<'a> = BoxFuture<'a, Result<Vec<Found>, sqlx::Error>>;

/// One thing to look at in every database.
pub trait Check: Sync {
    /// A word for programs and people, such as `lock-table`.
    fn name(&self) -> &'static str;
    /// What it looks at, for people.
    fn looks_at(&self) -> &'static str;
    /// Why that matters, in one line.
    fn why(&self) -> &'static str;
    /// Looks. The number of queries does not depend on the number of tenants.
    fn look<'a>(&'a self, patient: &'a mut Patient<'_>) -> Looking<'a>;
}
