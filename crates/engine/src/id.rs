//! Ids that come from their cause (rule P2): the same cause gives the same id, in the services, in a replay and in a backtest.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key::CustomerKey;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id's text: lower-case hexadecimal.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id! {
    /// One customer's run through one campaign: shop, campaign, object, element, the trigger's event id and the customer's key then.
    JourneyId
}
id! {
    /// One message: journey, step and round. A message that is decided again has a new round, hence a new id (rule P15).
    MessageId
}
id! {
    /// One arming of a timer: journey (or the customer's session), step and arming. Never used again by a later arming.
    TimerId
}

impl JourneyId {
    /// The journey that this trigger begins.
    pub fn new(campaign: &str, object: Option<&str>, element: Option<&str>, event: &str, customer: &CustomerKey) -> Self {
        Self(digest(&["journey", customer.shop(), campaign, object.unwrap_or(""), element.unwrap_or(""), event, customer.as_str()]))
    }
}

impl MessageId {
    /// The message of a journey's step in a round.
    pub fn new(journey: &JourneyId, step: u16, round: u32) -> Self {
        Self(digest(&["message", journey.as_str(), &step.to_string(), &round.to_string()]))
    }
}

impl TimerId {
    /// A journey's timer in its `arming`-th arming.
    pub fn of_journey(journey: &JourneyId, arming: u32) -> Self {
        Self(digest(&["timer", journey.as_str(), &arming.to_string()]))
    }

    /// The timer that ends a customer's session, armed by this event.
    pub fn of_session(customer: &CustomerKey, event: &str) -> Self {
        Self(digest(&["session", customer.as_str(), event]))
    }
}

/// 128 bits of SHA-256 over the parts, each with its length, so that no two lists of parts run together.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = hash.finalize();
    let halves = hash[..16].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_their_cause_and_parts_do_not_run_together() {
        let customer = "acme/user:1".parse().unwrap();
        let journey = JourneyId::new("cart", Some("c1"), None, "e1", &customer);
        assert_eq!(journey, JourneyId::new("cart", Some("c1"), None, "e1", &customer));
        assert_ne!(journey, JourneyId::new("cart", Some("c"), None, "1e1", &customer));
        assert_ne!(TimerId::of_journey(&journey, 1), TimerId::of_journey(&journey, 2));
        assert_ne!(MessageId::new(&journey, 1, 11), MessageId::new(&journey, 11, 1));
        assert_eq!(journey.as_str().len(), 32);
    }
}
