//! What the evaluator keeps beside the states for the dispatcher's gate, and how it is written: entries of two views of the store.
//!
//! Both are functions of the customers' states (rule P7) and change with them in one atomic write. [`FLIGHT`] lies in the partition of
//! the message's customer, [`BLOCKED`] in that of the address's home. Values are MessagePack with named fields, so that fields can be
//! added.

use bytes::Bytes;
use cartwheel_engine::{effect::FlightEntry, input::OptOutBy, key::CustomerKey};
use cartwheel_language::Channel;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The view of messages on their way: entry is the message id, value a [`FlightEntry`].
pub const FLIGHT: &str = "flight";

/// The view of addresses that take no messages: entry by [`blocked_entry`], value a [`Blocked`]. That it is there says it all.
pub const BLOCKED: &str = "blocked";

/// The entry of an address in [`BLOCKED`]: `sms/acme/phone:<hash>`.
pub fn blocked_entry(channel: Channel, home: &CustomerKey) -> String {
    format!("{}/{home}", channel.name())
}

/// An opt-out that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// How it was said.
    pub by: OptOutBy,
    /// When it was folded.
    pub at: Timestamp,
}

/// Why a value of a view cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value of view {view} cannot be read: {reason}")]
pub struct ViewError {
    view: &'static str,
    reason: String,
}

/// A message on its way as the view holds it.
///
/// # Errors
/// Never for a sound value; the codec's reason otherwise.
pub fn encode_flight(entry: &FlightEntry) -> Result<Bytes, ViewError> {
    encode(FLIGHT, entry)
}

/// Reads what [`encode_flight`] wrote.
///
/// # Errors
/// When the bytes are no such value.
pub fn decode_flight(bytes: &[u8]) -> Result<FlightEntry, ViewError> {
    decode(FLIGHT, bytes)
}

/// An opt-out as the view holds it.
///
/// # Errors
/// Never for a sound value; the codec's reason otherwise.
pub fn encode_blocked(blocked: &Blocked) -> Result<Bytes, ViewError> {
    encode(BLOCKED, blocked)
}

/// Reads what [`encode_blocked`] wrote.
///
/// # Errors
/// When the bytes are no such value.
pub fn decode_blocked(bytes: &[u8]) -> Result<Blocked, ViewError> {
    decode(BLOCKED, bytes)
}

fn encode<T: Serialize>(view: &'static str, value: &T) -> Result<Bytes, ViewError> {
    rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| ViewError { view, reason: error.to_string() })
}

fn decode<T: DeserializeOwned>(view: &'static str, bytes: &[u8]) -> Result<T, ViewError> {
    rmp_serde::from_slice(bytes).map_err(|error| ViewError { view, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use cartwheel_engine::effect::Wanted;

    use super::*;

    #[test]
    fn entries_read_back_and_other_bytes_are_refused() {
        let home: CustomerKey = "acme/phone:5f3a".parse().unwrap();
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let flight = FlightEntry { customer: home.clone(), wanted: Wanted::Moved, until: at };
        assert_eq!(decode_flight(&encode_flight(&flight).unwrap()).unwrap(), flight);
        let blocked = Blocked { by: OptOutBy::Keyword, at };
        assert_eq!(decode_blocked(&encode_blocked(&blocked).unwrap()).unwrap(), blocked);
        assert_eq!(blocked_entry(Channel::Sms, &home), "sms/acme/phone:5f3a");
        assert!(decode_flight(b"no").is_err() && decode_blocked(&[]).is_err());
    }
}
