//! What we talk to: shards, the sessions on them, and what PostgreSQL's errors ask us to do.
//!
//! Knows nothing of migrations.

mod connection;
mod fault;
mod message;
mod session;
mod settings;
mod shards;

pub use connection::Connection;
pub use fault::{Fault, ServerError};
pub use message::Message;
pub use session::{Outcome, Session, SessionError};
pub use shards::{Shard, Shards};
