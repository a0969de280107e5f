//! When to call a provider again: data, one schedule for each sort of trouble.

use std::time::Duration;

use cartwheel_engine::id::MessageId;
use serde::{Deserialize, Serialize};

/// Why a provider did not take a message now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It asks for fewer requests (429).
    Throttled,
    /// It cannot be reached or fails inside (5xx, no connection).
    Unavailable,
    /// It does not accept our credentials (401, 403): only its operator can help.
    Credentials,
    /// The answer did not come: the message may have been taken. Called again only where the class is at least once.
    Unsure,
}

/// The pauses between calls: `first`, then twice as long each time up to `longest`, at most `calls` calls in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The most calls, the first one counted.
    pub calls: u32,
    /// The pause behind the first call.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub first: Duration,
    /// The longest pause.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub longest: Duration,
}

/// The schedules by trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// For [`Trouble::Throttled`].
    pub throttled: Schedule,
    /// For [`Trouble::Unavailable`].
    pub unavailable: Schedule,
    /// For [`Trouble::Credentials`].
    pub credentials: Schedule,
    /// For [`Trouble::Unsure`].
    pub unsure: Schedule,
}

impl Retries {
    /// The schedule for a trouble.
    pub fn of(&self, trouble: Trouble) -> &Schedule {
        match trouble {
            Trouble::Throttled => &self.throttled,
            Trouble::Unavailable => &self.unavailable,
            Trouble::Credentials => &self.credentials,
            Trouble::Unsure => &self.unsure,
        }
    }
}

impl Schedule {
    /// The pause behind the `made`-th call (from 1); none if no further call is made. Between half and all of the nominal pause, by
    /// the message's id: the same message waits the same, many messages do not come back at once.
    pub fn pause(&self, made: u32, message: &MessageId) -> Option<Duration> {
        if made >= self.calls {
            return None;
        }
        let nominal = self.first.saturating_mul(1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.longest);
        Some(nominal / 2 + nominal.mul_f64(spread(message, made) / 2.0))
    }
}

/// A number in 0..1 from the message's id and the call (FNV-1a: no secret depends on it).
fn spread(message: &MessageId, made: u32) -> f64 {
    let hash = message
        .as_str()
        .bytes()
        .chain(made.to_be_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_limit_stay_within_their_half_and_come_from_the_message() {
        let schedule = Schedule { calls: 5, first: Duration::from_secs(1), longest: Duration::from_secs(3) };
        let (one, other) = (MessageId::from("m1".to_owned()), MessageId::from("m2".to_owned()));
        for (made, nominal) in [(1, 1), (2, 2), (3, 3), (4, 3)] {
            let pause = schedule.pause(made, &one).unwrap();
            assert!(pause >= Duration::from_millis(nominal * 500) && pause <= Duration::from_secs(nominal), "{made}: {pause:?}");
            assert_eq!(schedule.pause(made, &one), Some(pause));
        }
        assert_eq!(schedule.pause(5, &one), None);
        assert_ne!(schedule.pause(1, &one), schedule.pause(1, &other));
    }
}
