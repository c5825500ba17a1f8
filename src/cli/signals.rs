//! SIGINT and SIGTERM: the first asks to stop, the second does.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{exit::ExitCode, output::Output};

/// A token that the first signal cancels. Must be called on a runtime.
pub(super) fn watch(output: Output) -> CancellationToken {
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
                output.note("stopping: what is running is finished first; once more stops at once");
                stop.cancel();
            }
        }
        std::process::exit(ExitCode::Interrupted.number().into());
    });
    token
}
