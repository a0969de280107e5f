//! The one clock that a service is handed; nothing else in a service may ask the machine for the time.
//!
//! A clock gives wall time for stamps and deadlines and is the only way to wait, so that `cartwheel dev` can fast-forward and the
//! simulation can own time wholly. Decisions never read it: the engine's `now` comes from log records.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

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
        let wait = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
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

/// A clock that flows with real time from a base moment and can jump ahead: the fast-forward of `cartwheel dev` and `demo`.
///
/// Whoever jumps must know that nothing is in flight: sleepers whose moment lies before the new present wake at once, all together.
/// Copies of it are the same clock.
#[derive(Clone)]
pub struct VirtualClock(Arc<Face>);

struct Face {
    /// What was shown at the last jump, and when that was.
    base: Mutex<Base>,
    /// Counts jumps, for sleepers to look again.
    jumps: watch::Sender<u64>,
}

#[derive(Clone, Copy)]
struct Base {
    shown: Timestamp,
    at: Instant,
}

impl VirtualClock {
    /// A clock that shows `base` now and goes on from there at the pace of real time.
    pub fn starting_at(base: Timestamp) -> Self {
        let base = Mutex::new(Base { shown: base, at: Instant::now() });
        Self(Arc::new(Face { base, jumps: watch::Sender::new(0) }))
    }

    /// The handle for those who only read the time and wait.
    pub fn clock(&self) -> Clock {
        Clock(Arc::new(self.clone()))
    }

    /// Moves the clock ahead to `moment` and wakes every sleeper whose time has come. A moment in the past changes nothing: the clock
    /// never goes back.
    pub fn jump_to(&self, moment: Timestamp) {
        {
            let mut base = self.0.base.lock().unwrap_or_else(PoisonError::into_inner);
            if moment <= base.present() {
                return;
            }
            *base = Base { shown: moment, at: Instant::now() };
        }
        self.0.jumps.send_modify(|jumps| *jumps += 1);
    }
}

impl Base {
    fn present(self) -> Timestamp {
        let passed = SignedDuration::try_from(self.at.elapsed()).unwrap_or(SignedDuration::MAX);
        self.shown.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

impl TimeSource for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.base.lock().unwrap_or_else(PoisonError::into_inner).present()
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move {
            let mut jumps = clock.0.jumps.subscribe();
            loop {
                jumps.borrow_and_update();
                let Ok(wait) = Duration::try_from(until.duration_since(clock.now())) else { return };
                if wait.is_zero() {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    changed = jumps.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_jump_wakes_those_whose_moment_has_come_and_no_other() {
        let clock = VirtualClock::starting_at(moment("2026-03-01T09:00:00Z"));
        let soon = tokio::spawn(clock.clock().sleep_until(moment("2026-03-01T09:30:00Z")));
        let later = tokio::spawn(clock.clock().sleep_until(moment("2026-03-02T09:00:00Z")));
        clock.jump_to(moment("2026-03-01T09:30:00Z"));
        tokio::time::timeout(Duration::from_secs(5), soon).await.unwrap().unwrap();
        assert!(!later.is_finished());
        clock.jump_to(moment("2026-03-03T00:00:00Z"));
        tokio::time::timeout(Duration::from_secs(5), later).await.unwrap().unwrap();
    }

    #[test]
    fn a_jump_into_the_past_changes_nothing() {
        let start = moment("2026-03-01T09:00:00Z");
        let clock = VirtualClock::starting_at(start);
        clock.jump_to(moment("2020-01-01T00:00:00Z"));
        assert!(clock.now() >= start);
    }

    #[tokio::test]
    async fn between_jumps_it_flows_with_real_time() {
        let start = moment("2026-03-01T09:00:00Z");
        let clock = VirtualClock::starting_at(start);
        clock.clock().sleep(Duration::from_millis(20)).await;
        let passed = clock.now().duration_since(start);
        assert!(passed >= SignedDuration::from_millis(20), "only {passed} passed");
    }
}
