//! Proving that migrations do what they say, on servers where nothing can be broken.
//!
//! Nothing here may touch a server that holds a tenant's data.

mod dump;
mod error;
mod reference;
mod report;
mod roundtrip;
pub mod scratch;
mod trial;
mod words;
mod write_down;

pub use dump::{DumpError, DumpRequest, Dumped, Subject, dump, title};
pub use error::VerifyError;
pub use reference::{Made, ReferenceRequest, reference};
pub use report::{Finding, Outcome, Proof, Report, ScopeReport, Stage, Verdict};
pub use roundtrip::{Request, verify};
pub(crate) use write_down::is_rewording;
pub use write_down::write_down;
