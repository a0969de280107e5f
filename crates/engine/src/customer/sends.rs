//! Messages on their way, the places that they take under caps, and the balance.

use std::collections::BTreeMap;

use cartwheel_language::{Channel, Class};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    id::{JourneyId, MessageId},
    key::CustomerKey,
};

/// Places are kept this long: the longest rolling cap that can be kept is a year.
const PLACES_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The most places kept; the oldest give way.
const PLACES_LIMIT: usize = 400;

/// The most handed-over messages whose receipts still count.
const HANDED_LIMIT: usize = 100;

/// Messages and places.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sends {
    /// On their way: decided, outcome not known.
    pub flights: BTreeMap<MessageId, Flight>,
    /// Places under caps, oldest first.
    pub places: Vec<Place>,
    /// The last ones that were handed over, perhaps: a receipt may still say more.
    pub handed: BTreeMap<MessageId, Handed>,
    /// The balance.
    pub tally: Tally,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    /// The home that decided it: its partition's dispatcher has it.
    pub decided_at: CustomerKey,
    /// The journey.
    pub journey: JourneyId,
    /// The campaign.
    pub campaign: String,
    /// The campaign's version.
    pub version: u32,
    /// What the journey is about: the object's name and id.
    pub object: Option<(String, String)>,
    /// The channel.
    pub channel: Channel,
    /// Its window closes, or it expires, at this moment.
    pub until: Timestamp,
    /// A request to hold it back stands (rule P18: places move only with the outcome).
    pub revoked: bool,
}

/// A place under the caps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// When it was taken: the decision, then the hand-over.
    pub at: Timestamp,
    /// By which message.
    pub message: MessageId,
    /// The message's channel.
    pub channel: Channel,
    /// The message's class.
    pub class: Class,
    /// The message's tags when it was decided.
    pub tags: Vec<String>,
}

/// A message that was handed over, or perhaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handed {
    /// What is known.
    pub state: HandedState,
    /// When that became known.
    pub at: Timestamp,
    /// The campaign.
    pub campaign: String,
    /// The channel.
    pub channel: Channel,
}

/// What is known of a handed-over message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HandedState {
    /// Nobody knows whether a provider took it.
    Unknown,
    /// A provider took it.
    Sent,
    /// It arrived.
    Delivered,
    /// It did not.
    Failed,
}

/// `decided = sent + failed + unknown + suppressed + expired + returned + in flight`, message by message (rule "balance").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Decided, each round once.
    pub decided: u64,
    /// Handed over.
    pub sent: u64,
    /// Refused by a provider.
    pub failed: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Held back at the gate.
    pub suppressed: u64,
    /// Too late at the gate.
    pub expired: u64,
    /// Given back and decided again.
    pub returned: u64,
}

impl Sends {
    /// Decided messages without a place in the balance; zero always.
    pub fn imbalance(&self) -> i128 {
        let Tally { decided, sent, failed, unknown, suppressed, expired, returned } = self.tally;
        let known = u128::from(sent)
            + u128::from(failed)
            + u128::from(unknown)
            + u128::from(suppressed)
            + u128::from(expired)
            + u128::from(returned);
        i128::from(decided) - i128::try_from(known).unwrap_or(i128::MAX) - i128::try_from(self.flights.len()).unwrap_or(i128::MAX)
    }

    pub(crate) fn take_place(&mut self, place: Place) {
        let now = place.at;
        self.places.retain(|known| now.duration_since(known.at) <= PLACES_FOR);
        self.places.push(place);
        if self.places.len() > PLACES_LIMIT {
            self.places.remove(0);
        }
    }

    pub(crate) fn give_back(&mut self, message: &MessageId) {
        self.places.retain(|place| place.message != *message);
    }

    /// The message was handed over, perhaps: from now on its place counts from that moment.
    pub(crate) fn move_place(&mut self, message: &MessageId, at: Timestamp) {
        for place in self.places.iter_mut().filter(|place| place.message == *message) {
            place.at = at;
        }
        self.places.sort_by_key(|place| place.at);
    }

    pub(crate) fn hand(&mut self, message: MessageId, handed: Handed) {
        self.handed.insert(message, handed);
        while self.handed.len() > HANDED_LIMIT {
            let Some(oldest) = self.handed.iter().min_by_key(|(_, handed)| handed.at).map(|(id, _)| id.clone()) else { return };
            self.handed.remove(&oldest);
        }
    }

    /// Joins what a weaker home gathered.
    pub(crate) fn join(&mut self, other: Sends) {
        self.flights.extend(other.flights);
        self.places.extend(other.places);
        self.places.sort_by(|one, two| one.at.cmp(&two.at).then_with(|| one.message.cmp(&two.message)));
        while self.places.len() > PLACES_LIMIT {
            self.places.remove(0);
        }
        for (message, handed) in other.handed {
            self.hand(message, handed);
        }
        let (own, theirs) = (&mut self.tally, other.tally);
        own.decided += theirs.decided;
        own.sent += theirs.sent;
        own.failed += theirs.failed;
        own.unknown += theirs.unknown;
        own.suppressed += theirs.suppressed;
        own.expired += theirs.expired;
        own.returned += theirs.returned;
    }
}
