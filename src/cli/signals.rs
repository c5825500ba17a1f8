//! SIGINT and SIGTERM: the first asks to stop, the second cancels what runs, the third ends the process as it is.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::ExitCode;

/// How long what was cancelled may take to end on the servers, and the process to say what became of it.
const CANCELLING: Duration = Duration::from_secs(10);

/// A token that the first signal cancels, whereupon `told` is called. The second cancels `cut`; without one it ends the
/// process at once. Must be called on a runtime.
pub(super) fn watch(
    told: impl Fn() + Send + 'static,
    cut: Option<CancellationToken>,
) -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let signals = (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        );
        // Without handlers a signal ends the process as it always does.
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return;
        };
        let mut signalled = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        signalled().await;
        stop.cancel();
        told();
        signalled().await;
        if let Some(cut) = cut {
            // The command ends by itself when its statements have.
            cut.cancel();
            let _ = tokio::time::timeout(CANCELLING, signalled()).await;
        }
        std::process::exit(ExitCode::Interrupted.number().into());
    });
    token
}
