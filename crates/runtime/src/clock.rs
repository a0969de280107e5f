//! The one clock that a service is handed; nothing else in a service may ask the machine for the time.
//!
//! A clock gives wall time for stamps and deadlines and is the only way to wait, so that `cartwheel dev` can fast-forward and the
//! simulation can own time wholly. Decisions never read it: the engine's `now` comes from log records.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;

/// Where a [`Clock`] takes its time from.
pub trait TimeSource: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Resolves when `now` has reached `until`; at once if it is past.
    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()>;
}

/// A cheap handle to a source of time.
#[derive(Clone)]
pub struct Clock(Arc<dyn TimeSource>);

impl Clock {
    /// A clock on any source; the simulation brings its own.
    pub fn new(source: impl TimeSource) -> Self {
        Self(Arc::new(source))
    }

    /// The machine's clock.
    pub fn system() -> Self {
        Self::new(SystemTime)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Resolves when the clock has reached `until`.
    pub fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        self.0.sleep_until(until)
    }

    /// Resolves after `duration` on this clock.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let wait = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
        self.0.sleep_until(self.now().saturating_add(wait).unwrap_or(Timestamp::MAX))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Clock({})", self.now())
    }
}

struct SystemTime;

impl TimeSource for SystemTime {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let wait = until.duration_since(Timestamp::now());
        Box::pin(tokio::time::sleep(Duration::try_from(wait).unwrap_or(Duration::ZERO)))
    }
}
