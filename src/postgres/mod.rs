//! What we talk to: shards, the sessions on them, and what PostgreSQL's errors ask us to do.
//!
//! Knows nothing of migrations.

mod answer;
mod blockers;
mod chains;
mod connection;
mod fault;
mod given_up;
mod message;
mod outcome;
mod pace;
mod session;
mod settings;
mod shards;
mod side;
mod terminate;
mod watch;

pub(crate) use answer::Answered;
pub use blockers::{Activity, Blocker, Wait, sessions, waits};
pub use chains::{Chain, chains};
pub use connection::Connection;
pub use fault::{Fault, ServerError};
pub use message::Message;
pub use outcome::{Ended, Outcome, SessionError};
pub use session::Session;
pub(crate) use settings::reset;
pub use shards::{Shard, Shards};
pub use terminate::{Terminated, terminate};
pub use watch::Watch;
