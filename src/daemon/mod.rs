//! The daemon: reconcilers and an HTTP server under one roof, from the first connection to an orderly end.
//!
//! Takes no orders: people and other programs change what the databases say, and the daemon follows.

mod build;
mod drifting;
mod membership;
mod news;
mod patience;
mod pending;
mod pooling;
mod provisioning;
mod retiring;
mod rolling;
mod run;

pub use build::{Built, build};

use std::{io, net::SocketAddr, time::Duration};

use crate::fleet::FleetError;

/// Why the daemon cannot run, or did not end in order.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Others could reach it, and nothing would keep them out.
    #[error(
        "`daemon.listen` is {0}, which other machines reach, and there is neither TLS nor a token to keep them out: set it \
         to 127.0.0.1 or [::1], and put a proxy in front where others have to ask"
    )]
    Open(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}, which is `daemon.listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The settings or the files.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The HTTP server ended.
    #[error("the HTTP server ended")]
    Serve(#[source] io::Error),
    /// What was running took too long.
    #[error(
        "what was running did not end within {0:?} (`daemon.grace`): it was cancelled, and is rolled back"
    )]
    Grace(Duration),
    /// Somebody did not want to wait that long.
    #[error("asked to end at once: what was running was cancelled, and is rolled back")]
    Cut,
}
