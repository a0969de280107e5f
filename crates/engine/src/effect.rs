//! What a decision causes. Each effect is complete (carrying it out needs no further choice) and idempotent by its id.

use cartwheel_language::{Channel, Class, Delivery};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    decision::Decision,
    id::{JourneyId, MessageId, TimerId},
    input::Input,
    key::CustomerKey,
};

/// One thing to carry out, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Wake the customer at a moment. It comes back as [`Fact::TimerFired`](crate::input::Fact::TimerFired) keyed by the same home.
    SetTimer {
        /// The timer.
        timer: TimerId,
        /// When.
        due: Timestamp,
    },
    /// The timer is no longer needed.
    CancelTimer {
        /// The timer.
        timer: TimerId,
        /// The home that set it: its record stands in that home's partition.
        home: CustomerKey,
    },
    /// Hand this to the dispatcher.
    Send(Box<Message>),
    /// Append this to another home's log.
    Emit {
        /// The fixed slot of this kind of effect (rule P2): with the record's partition and offset it is the origin of rule P8.
        slot: u16,
        /// What to append, keyed by the other home.
        input: Box<Input>,
    },
    /// Put this on record.
    Record(Box<Decision>),
}

/// A message, decided and rendered. The only place outside the profile that holds address and text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id; the provider's idempotency key.
    pub id: MessageId,
    /// The journey that it belongs to.
    pub journey: JourneyId,
    /// The home that decided it; outcomes are keyed by it.
    pub customer: CustomerKey,
    /// The campaign's name.
    pub campaign: String,
    /// The campaign's version.
    pub version: u32,
    /// The step's number in the campaign, from 0.
    pub step: u16,
    /// Counts the decisions of this message, from 1.
    pub round: u32,
    /// What it is to the customer.
    pub class: Class,
    /// What to do after a crash between the hand-over and knowing of it.
    pub delivery: Delivery,
    /// The channel.
    pub channel: Channel,
    /// The provider, by the name that operators configure.
    pub provider: String,
    /// The name or number that it is sent from; none: the provider's own choice.
    pub from: Option<String>,
    /// E.164 for SMS.
    pub address: String,
    /// The address's own home, where the gate asks for an opt-out (rule P17).
    pub address_home: CustomerKey,
    /// The rendered text.
    pub text: String,
    /// SMS parts.
    pub parts: u32,
    /// When it was decided.
    pub decided: Timestamp,
    /// It is not handed over from this moment on; at most 24 h after `decided` (rule P15).
    pub not_after: Timestamp,
}

/// Address and text stay out of logs.
impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Message")
            .field("id", &self.id)
            .field("campaign", &self.campaign)
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

/// A message on its way, as the dispatcher's gate sees it (rule P16): an entry of the partition's `flight` view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlightEntry {
    /// The home that decided it.
    pub customer: CustomerKey,
    /// Whether it is still wanted.
    pub wanted: Wanted,
    /// The window closes at this moment; then it comes back instead of going out.
    pub until: Timestamp,
}

/// Whether a message on its way is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// It is.
    Yes,
    /// It is not.
    Revoked,
    /// Its customer lives elsewhere now: it comes back and is decided there (rule P24).
    Moved,
}
