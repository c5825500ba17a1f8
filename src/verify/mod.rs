//! Proving that migrations do what they say, on servers where nothing can be broken.
//!
//! Nothing here may touch a server that holds a tenant's data.

mod arrange;
mod builds;
mod course;
mod dump;
mod error;
mod ground;
mod held;
mod numbers;
mod older;
mod paths;
mod reference;
mod report;
mod roles;
mod roundtrip;
mod rows;
mod scope;
pub mod scratch;
mod seed;
mod since;
mod single;
mod stands;
mod trial;
mod turns;
mod way;
mod whole;
mod widened;
mod words;
mod write_down;

pub(crate) use arrange::{Arranged, Waiting, arrange};
pub use dump::{DumpError, DumpRequest, Dumped, Subject, dump, title};
pub use error::VerifyError;
pub use reference::{Made, ReferenceRequest, reference};
pub use report::{Finding, NotSeeded, Outcome, Proof, Report, ScopeReport, Seeded, Stage, Verdict};
pub use roundtrip::{ROWS, Request, default_jobs, verify};
pub use rows::Loss;
pub use since::{Changed, Since, SinceError};
pub(crate) use write_down::is_rewording;
pub use write_down::write_down;
