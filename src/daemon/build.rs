//! Everything that can be wrong before anything runs: settings, files, the address.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::DaemonError;
use crate::{
    config::Settings,
    fleet::{Fleet, FleetError},
};

/// A daemon that holds its port and does nothing yet.
#[derive(Debug)]
pub struct Built {
    pub(super) listener: TcpListener,
    pub(super) fleet: Fleet,
    pub(super) settings: Settings,
    pub(super) cut: CancellationToken,
}

/// Reads the sets and takes the port. Connects to no database.
pub async fn build(settings: Settings) -> Result<Built, DaemonError> {
    let address = settings.daemon.listen;
    if !address.ip().is_loopback() {
        return Err(DaemonError::Open(address));
    }
    let cut = CancellationToken::new();
    let fleet = fleet(&settings, &cut)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| DaemonError::Listen { address, source })?;
    Ok(Built {
        listener,
        fleet,
        settings,
        cut,
    })
}

/// The fleet as its files are now. What runs on it is cancelled with `cut`.
pub(super) fn fleet(settings: &Settings, cut: &CancellationToken) -> Result<Fleet, FleetError> {
    let mut fleet = Fleet::open(settings)?;
    fleet.shards = fleet.shards.cut_by(cut);
    // The next pass comes back to whoever is busy; waiting within one would only make the end late.
    fleet.limits.busy_wait = Duration::ZERO;
    Ok(fleet)
}

impl Built {
    /// The address it has, with the port that the system chose where any was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Cancelling it ends the daemon at once, once it was asked to end: what runs is cancelled, and rolled back.
    pub fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }
}
