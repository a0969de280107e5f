//! Words that campaigns and records share: they stand in files, in stored state and on topics.

use serde::{Deserialize, Serialize};

/// What a message is to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// An offer or a reminder: needs promotional consent.
    Promotional,
    /// About what the customer did or holds: needs transactional or promotional consent.
    Transactional,
    /// An answer to the customer's own message of the last 24 hours.
    Conversational,
}

impl Class {
    /// The word that files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Promotional => "promotional",
            Class::Transactional => "transactional",
            Class::Conversational => "conversational",
        }
    }
}

/// A way to reach a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Text messages.
    Sms,
}

impl Channel {
    /// The word that files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Channel::Sms => "sms",
        }
    }
}

/// What to do after a crash between the hand-over of a message and knowing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Never twice, perhaps not at all.
    AtMostOnce,
    /// At least once, perhaps twice.
    AtLeastOnce,
}
