//! SIGINT and SIGTERM: the first asks to stop, the second does.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::ExitCode;

/// A token that the first signal cancels, whereupon `told` is called. Must be called on a runtime.
pub(super) fn watch(told: impl Fn() + Send + 'static) -> CancellationToken {
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
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                stop.cancel();
                told();
            }
        }
        std::process::exit(ExitCode::Interrupted.number().into());
    });
    token
}
