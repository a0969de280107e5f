//! One partition, folded: what its log means beside its customers (rules P7, P8, P12, P13, P25). Pure.

use std::collections::BTreeMap;

use cartwheel_engine::input::{Fact, Input, Origin};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A firing may be ahead of the log's moment by this much and still count (rule P13).
const FIRING_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// A record's stamp may be ahead of this machine's clock by this much; further ahead it would poison `now` (rule P12).
pub(crate) const STAMP_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// A partition's stored facts beside owner and head. All else is a function of customer states (rule P7).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// The highest origin folded of each sending partition: what is not above is a repeat (rule P8).
    pub origins: BTreeMap<u32, Origin>,
    /// The revision in force of each shop (rule P25).
    pub revisions: BTreeMap<String, u32>,
    /// The highest moment so far (rule P12).
    pub now: Option<Timestamp>,
}

/// Why stored marks cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the partition's stored marks are unreadable: {0}; they are of a later version or damaged")]
pub struct MarksError(#[from] rmp_serde::decode::Error);

impl Marks {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        // Writing to memory with these types cannot fail.
        rmp_serde::to_vec_named(self).unwrap_or_default()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// When they are no marks of this or an earlier version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MarksError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }

    /// Whether a record that another evaluator emitted is new; a repeat of a crash or of a zombie is not (rule P8).
    pub fn admit(&mut self, origin: Origin) -> bool {
        let is_new = self.origins.get(&origin.partition).is_none_or(|highest| *highest < origin);
        if is_new {
            self.origins.insert(origin.partition, origin);
        }
        is_new
    }

    /// The moment of a record: never below the one before; a firing carries its due time (rules P12, P13).
    pub fn advance(&mut self, stamp: Timestamp, input: Option<&Input>) -> Timestamp {
        let mut now = self.now.map_or(stamp, |highest| highest.max(stamp));
        if let Some(Input { fact: Fact::TimerFired { due, .. }, .. }) = input
            && *due <= now.saturating_add(FIRING_AHEAD).unwrap_or(Timestamp::MAX)
        {
            now = now.max(*due);
        }
        self.now = Some(now);
        now
    }

    /// Puts a revision in force; false if it is lower or a repeat, and ignored (rule P25).
    pub fn activate(&mut self, shop: &str, revision: u32) -> bool {
        let is_new = self.revisions.get(shop).is_none_or(|known| *known < revision);
        if is_new {
            self.revisions.insert(shop.to_owned(), revision);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn firing(due: Timestamp) -> Input {
        let timer = cartwheel_engine::id::TimerId::from("t".to_owned());
        Input {
            key: "acme/user:1".parse().unwrap(),
            id: "t".to_owned(),
            received: due,
            names: vec![],
            fact: Fact::TimerFired { timer, due },
        }
    }

    #[test]
    fn only_origins_above_the_highest_are_new() {
        let mut marks = Marks::default();
        let origin = |offset, slot| Origin { partition: 3, offset, slot };
        assert!(marks.admit(origin(5, 1)));
        assert!(!marks.admit(origin(5, 1)) && !marks.admit(origin(5, 0)) && !marks.admit(origin(4, 9)));
        assert!(marks.admit(origin(5, 2)) && marks.admit(origin(6, 0)));
        assert!(marks.admit(Origin { partition: 4, offset: 0, slot: 0 }), "another sender has its own");
    }

    #[test]
    fn now_never_goes_back_and_a_firing_carries_its_due_time() {
        let mut marks = Marks::default();
        assert_eq!(marks.advance(at(100), None), at(100));
        assert_eq!(marks.advance(at(90), None), at(100));
        assert_eq!(marks.advance(at(100), Some(&firing(at(130)))), at(130), "a little ahead counts");
        assert_eq!(marks.advance(at(120), Some(&firing(at(500)))), at(130), "clocks disagree: the engine arms it again");
        assert_eq!(Marks::decode(&marks.encode()).unwrap(), marks);
    }

    #[test]
    fn a_lower_or_repeated_revision_is_ignored() {
        let mut marks = Marks::default();
        assert!(marks.activate("acme", 2) && !marks.activate("acme", 2) && !marks.activate("acme", 1) && marks.activate("acme", 3));
    }
}
