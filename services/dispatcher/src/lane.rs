//! The two lanes of a partition: offers never delay what is about the customer's own doings (rule P21).

use std::sync::Arc;

use cartwheel_language::Class;
use cartwheel_wire::Topics;

/// A lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Transactional messages, and conversational ones.
    Transactional,
    /// Promotional messages.
    Promotional,
}

impl Lane {
    /// How many lanes there are.
    pub const COUNT: usize = 2;

    /// The lanes, most urgent first.
    pub const ALL: [Self; Self::COUNT] = [Self::Transactional, Self::Promotional];

    /// The lane of a class of messages.
    pub fn of(class: Class) -> Self {
        match class {
            Class::Transactional | Class::Conversational => Self::Transactional,
            Class::Promotional => Self::Promotional,
        }
    }

    /// The topic that it is read from.
    pub fn topic(self, topics: &Topics) -> &Arc<str> {
        match self {
            Self::Transactional => &topics.sends_transactional,
            Self::Promotional => &topics.sends_promotional,
        }
    }

    /// Its word, for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Promotional => "promotional",
        }
    }
}
