//! What a server says of its load: reasons to wait, each with a value and a threshold. A shelf: one file a signal.
//!
//! Only reads. Our own sessions never count: whoever throttled itself would never get on.

mod lag;
mod locks;
mod sessions;
mod wal;
mod watch;

pub use watch::{Hold, Watch};

use futures::future::BoxFuture;

use crate::{config::Load, postgres::Connection, postgres::ServerError};

/// One thing that a server says of its load.
pub trait Signal: Sync {
    /// What it is called, in words.
    fn name(&self) -> &'static str;

    /// Above which value it is a reason to wait; none where nobody wants to know.
    fn threshold(&self, load: &Load) -> Option<f64>;

    /// What its values are counted in, such as ` s`.
    fn unit(&self) -> &'static str;

    /// The value now. Counters that only grow are counted since the server began: whoever reads them twice knows the rate.
    fn read<'a>(&self, connection: &'a mut Connection) -> BoxFuture<'a, Result<f64, ServerError>>;

    /// Whether the value only grows, and its rate a second is what counts.
    fn is_counter(&self) -> bool {
        false
    }
}

/// All signals.
pub static SIGNALS: [&dyn Signal; 4] = [
    &lag::ReplicaLag,
    &locks::LockWaiters,
    &sessions::ActiveSessions,
    &wal::WalRate,
];
