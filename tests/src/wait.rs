//! Waiting for something to become true, never for time to pass.

use std::{fmt::Display, future::Future, time::Duration};

/// How long nothing may come before a test fails. Generous, because test machines are slow and a passing test never waits it out.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often is looked.
const PACE: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives a value; `what` says what was waited for.
///
/// # Panics
/// With the last reason of `look`, after a minute.
pub async fn eventually<T, E: Display, F: Future<Output = Result<T, E>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut pace = tokio::time::interval(PACE);
    loop {
        pace.tick().await;
        match tokio::time::timeout_at(deadline, look()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(reason)) => {
                assert!(tokio::time::Instant::now() < deadline, "{what} did not happen within {DEADLINE:?}: {reason}");
            }
            Err(_) => panic!("{what} did not happen within {DEADLINE:?}: the last look did not end"),
        }
    }
}
