//! Stops calling a provider that fails, for one shop.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::moment::after;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// This many failures in a row open it.
    pub failures: u32,
    /// After this long one call is let through as a probe; the next one after as long again, until one succeeds.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub pause: Duration,
}

/// Closed lets all through, open none but a probe now and then.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Open until a call succeeds; the next probe may go at this moment.
    probe: Option<Timestamp>,
}

impl Breaker {
    /// A closed one.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::default() }
    }

    /// Whether a call may be made now. A yes from an open breaker is the probe: the next yes comes a pause later.
    pub fn lets_through(&self, now: Timestamp) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.probe {
            None => true,
            Some(probe) if now < probe => false,
            Some(_) => {
                state.probe = Some(after(now, self.config.pause));
                true
            }
        }
    }

    /// Whether no call is let through now, without asking for one.
    pub fn is_shut(&self, now: Timestamp) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).probe.is_some_and(|probe| now < probe)
    }

    /// The provider answered.
    pub fn succeeded(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// The provider failed. Tells whether that opened the breaker.
    pub fn failed(&self, now: Timestamp) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failures = state.failures.saturating_add(1);
        let opens = state.failures >= self.config.failures;
        let opened = opens && state.probe.is_none();
        if opens {
            state.probe = Some(after(now, self.config.pause));
        }
        opened
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).probe.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_a_probe_goes_through_and_a_success_closes_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let breaker = Breaker::new(BreakerConfig { failures: 2, pause: Duration::from_secs(10) });
        assert!(!breaker.failed(at(0)));
        breaker.succeeded();
        assert!(!breaker.failed(at(1)) && breaker.lets_through(at(1)));
        assert!(breaker.failed(at(2)) && breaker.is_open());
        assert!(!breaker.lets_through(at(11)));
        assert!(breaker.lets_through(at(12)) && !breaker.lets_through(at(12)), "one probe");
        assert!(!breaker.failed(at(13)), "it was open already");
        assert!(!breaker.lets_through(at(22)) && breaker.lets_through(at(23)));
        breaker.succeeded();
        assert!(breaker.lets_through(at(23)) && breaker.lets_through(at(23)));
    }
}
