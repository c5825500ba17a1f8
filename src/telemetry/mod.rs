//! What tenantry writes about its work, to standard error.
//!
//! Never a secret: settings show none, and statements are not logged by the driver.

mod logging;
pub mod metrics;
pub mod notices;

pub use logging::{AlreadyInitialized, init};
pub(crate) use notices::Sink;
pub use notices::{Notice, NoticeLevel};
