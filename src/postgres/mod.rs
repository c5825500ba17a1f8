//! What we talk to: shards, the sessions on them, and what PostgreSQL's errors ask us to do.
//!
//! Knows nothing of migrations.

mod fault;
mod message;
mod session;
mod shards;

pub use fault::{Fault, ServerError};
pub use message::Message;
pub use session::{Ended, Outcome, Session, SessionError};
pub use shards::{Shard, Shards};
