//! What is known to have happened to a customer: the engine's only input.

use std::collections::BTreeMap;

use cartwheel_language::{Channel, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{MessageId, TimerId},
    key::CustomerKey,
};

/// The record that caused an emitted one, and which of its effects it is (rules P2, P8). Ordered as emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The partition of `cartwheel.events` that the causing record stands in.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// The effect's slot: fixed for each kind of effect, not a running count.
    pub slot: u16,
}

/// One record of `cartwheel.events` about a customer, as the engine sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The home that the record is keyed by.
    pub key: CustomerKey,
    /// The event's own id: its message id, else its source's topic, partition and offset. The same id counts once (R36).
    pub id: String,
    /// When Cartwheel received it.
    pub received: Timestamp,
    /// Every name that the record gives the person, the key among them or not. Empty for what Cartwheel reports itself.
    pub names: Vec<CustomerKey>,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// The customer did something.
    Tracked(Event),
    /// Somebody who may said who the customer is.
    Identified(Identified),
    /// A timer has come due.
    TimerFired {
        /// Which arming of which timer.
        timer: TimerId,
        /// The moment that it was set for.
        due: Timestamp,
    },
    /// What became of a message.
    Outcome(Outcome),
    /// The owner of an address wants no more messages there; keyed by the address's home.
    OptedOut {
        /// The channel.
        channel: Channel,
        /// How it was said.
        by: OptOutBy,
    },
    /// The owner of an address wants messages again; keyed by the address's home.
    OptedIn {
        /// The channel.
        channel: Channel,
    },
    /// The customer wrote something that is neither a stop nor a start; keyed by the address's home.
    Replied {
        /// The channel.
        channel: Channel,
        /// Whether it was one of the help words.
        help: bool,
    },
    /// A stronger name asks this one to come (rule P23).
    Claimed {
        /// The home that asks.
        by: CustomerKey,
    },
    /// A weaker name has come, with all that it gathered (rule P23).
    HandedOver {
        /// The home that it was gathered at.
        from: CustomerKey,
        /// The encoded customer.
        #[serde(with = "serde_bytes")]
        state: Vec<u8>,
    },
}

/// Something that the customer did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The event's name, as the shop's campaigns know it: `Product Added`.
    pub name: String,
    /// When it happened, as its source says; clamped to its arrival where it claims the future.
    pub occurred: Timestamp,
    /// Its properties.
    pub properties: BTreeMap<String, Value>,
}

/// Who the customer is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identified {
    /// When it was said, as its source says; clamped to its arrival. None: when it arrived.
    pub occurred: Option<Timestamp>,
    /// Attributes by name; null clears one.
    pub traits: BTreeMap<String, Value>,
    /// Addresses by channel; an address that is no address is [`Address::invalid`].
    pub addresses: BTreeMap<Channel, Address>,
    /// Changes of consent.
    pub consents: Vec<ConsentChange>,
}

/// Where a channel reaches the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// E.164 for SMS. Empty when invalid.
    pub value: String,
    /// The address's own home on the log, where opt-out is kept (rule P17). None when invalid.
    pub home: Option<CustomerKey>,
    /// ISO 3166 code of the number's region where it has one.
    pub country: Option<String>,
    /// Why it is no address that messages can go to; none if it is one.
    pub invalid: Option<String>,
}

/// A change of what the customer agreed to (R67).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsentChange {
    /// For which channel.
    pub channel: Channel,
    /// To what.
    pub to: Consented,
    /// Where it was given: a form, a checkout, an import.
    pub source: String,
    /// What proves it: an id, a document, a double opt-in.
    pub proof: Option<String>,
}

/// What a customer agreed to on a channel; promotional includes transactional (R67).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consented {
    /// To nothing.
    None,
    /// To messages about what the customer did or holds.
    Transactional,
    /// To offers as well.
    Promotional,
}

/// How an opt-out was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptOutBy {
    /// A word like STOP.
    Keyword,
    /// The link in a message.
    Link,
    /// The shop, by the API, for the customer.
    Api,
    /// The provider refuses the number because its owner opted out there.
    Provider,
}

/// What became of a message; reported by the dispatcher and by providers' receipts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The message.
    pub message: MessageId,
    /// What became of it.
    pub result: OutcomeResult,
    /// When.
    pub at: Timestamp,
}

/// What became of a message. The first terminal one wins, except that a receipt may turn `Unknown` (rule P19).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeResult {
    /// A provider took it.
    Sent,
    /// A receipt says that it arrived.
    Delivered,
    /// The provider refused it, or a receipt says that it did not arrive.
    Failed {
        /// The provider's code or a word for it; never a text or number of the customer.
        reason: String,
        /// Whether the address will never take messages.
        address: bool,
    },
    /// Handed over or not: nobody knows (rule P20).
    Unknown,
    /// Not handed over: no longer wanted.
    Suppressed {
        /// Why.
        reason: Suppression,
    },
    /// Not handed over: its `not_after` had passed.
    Expired,
    /// Not handed over now; decide again (rule P21).
    Returned {
        /// Why.
        reason: Return,
    },
}

/// Why a message was no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// The evaluator revoked it or no longer knows it (rule P16: absence means no).
    Revoked,
    /// The address's owner opted out (rule P17).
    OptedOut,
    /// Sending is stopped, and will not be resumed for this message.
    Stopped,
}

/// Why a message came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Return {
    /// The window closed while it waited.
    WindowClosed,
    /// The customer moved to another home (rule P24).
    Moved,
    /// The provider's queue was full.
    QueueFull,
    /// The provider does not answer or asks for a pause.
    ProviderAway,
    /// Sending is stopped.
    Stopped,
}
