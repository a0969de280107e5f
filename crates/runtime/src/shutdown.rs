//! How a process learns that it should stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or SIGINT. A second signal ends the process at once, for people who cannot wait for the
/// drain.
///
/// # Errors
/// When the machine refuses a signal handler.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn({
        let token = token.clone();
        async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if token.is_cancelled() {
                    tracing::warn!("second signal, stopping without a drain");
                    std::process::exit(130);
                }
                tracing::info!("signal received, stopping");
                token.cancel();
            }
        }
    });
    Ok(token)
}
