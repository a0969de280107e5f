//! A customer's state: a pure fold of the customer's records. Bounded in every list, so that nobody's history grows without end.
//!
//! State is written as MessagePack with named fields: fields may be added with a default and removed, and "encode, decode, continue"
//! equals "never stopped".

mod cart;
mod history;
mod journey;
mod profile;
mod sends;

use std::collections::{BTreeMap, BTreeSet};

use cartwheel_language::Channel;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use cart::{Cart, Carts};
pub use history::{History, Orders, RecentException, Session};
pub use journey::{Armed, Ended, Journey, Stage, Trigger};
pub use profile::{Block, Consent, Profile};
pub use sends::{Flight, Handed, HandedState, Place, Sends, Tally};

use crate::{
    effect::{FlightEntry, Wanted},
    id::{JourneyId, MessageId},
    key::CustomerKey,
};

/// The most journeys that one customer may have under way; the oldest gives way (reason `bounded`).
pub const JOURNEYS_LIMIT: usize = 200;

/// The most ended journeys remembered for `again`.
pub const ENDED_LIMIT: usize = 500;

/// The most names of a person remembered as claimed; who has more devices is no shopper.
pub const NAMES_LIMIT: usize = 200;

/// A customer, or a home that forwards to one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Customer {
    /// Holds everything below this offset of its partition (rule P11); kept by the host.
    pub folded: u64,
    /// The home that this one forwards to for ever; none while it is the customer itself (rule P23).
    pub moved_to: Option<CustomerKey>,
    /// Opt-outs of the address that this home belongs to; they never move (rule P17).
    pub blocked: BTreeMap<Channel, Block>,
    /// Messages decided here whose customer moved before their outcome was known (rule P24).
    pub moved_flights: BTreeMap<MessageId, Timestamp>,
    /// The other names of this person that were claimed from here.
    pub names: BTreeSet<CustomerKey>,
    /// Attributes, addresses, consents.
    pub profile: Profile,
    /// What happened, as far as decisions need it.
    pub history: History,
    /// Carts, open ones.
    pub carts: Carts,
    /// Journeys under way.
    pub journeys: BTreeMap<JourneyId, Journey>,
    /// Journeys that ended, by campaign and object, as far as `again` and regret need them.
    pub ended: BTreeMap<String, Ended>,
    /// Messages and the places that they take.
    pub sends: Sends,
}

/// Why a state cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("customer state is unreadable: {0}; it is of a later version or damaged")]
pub struct StateError(#[from] rmp_serde::decode::Error);

impl Customer {
    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        // Writing to memory with these types cannot fail: every map key is a text and no length is unknown.
        rmp_serde::to_vec_named(self).unwrap_or_default()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// When they are no customer of this or an earlier version.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }

    /// What the dispatcher's gate may see of this customer's messages on their way (rules P7, P16).
    pub fn flight_entries(&self, key: &CustomerKey) -> BTreeMap<MessageId, FlightEntry> {
        let own = self.sends.flights.iter().filter(|(_, flight)| flight.decided_at == *key).map(|(id, flight)| {
            let wanted = if flight.revoked { Wanted::Revoked } else { Wanted::Yes };
            (id.clone(), FlightEntry { customer: key.clone(), wanted, until: flight.until })
        });
        let moved = self
            .moved_flights
            .iter()
            .map(|(id, until)| (id.clone(), FlightEntry { customer: key.clone(), wanted: Wanted::Moved, until: *until }));
        own.chain(moved).collect()
    }

    /// Of too many ended journeys the oldest are forgotten.
    pub(crate) fn bound_ended(&mut self) {
        while self.ended.len() > ENDED_LIMIT {
            let Some(oldest) = self.ended.iter().min_by_key(|(_, ended)| ended.at).map(|(key, _)| key.clone()) else { return };
            self.ended.remove(&oldest);
        }
    }

    /// Of too many names any but the one just taken is forgotten: claimed once more, its home says that it has moved.
    pub(crate) fn bound_names(&mut self, taken: &CustomerKey) {
        while self.names.len() > NAMES_LIMIT {
            let Some(name) = self.names.iter().find(|name| *name != taken).cloned() else { return };
            self.names.remove(&name);
        }
    }

    /// An exception ended the journey, and its message was held back: the customer is as new (LANGUAGE.md, section 5).
    pub(crate) fn forget_unsent(&mut self, journey: &JourneyId) {
        self.ended.retain(|_, ended| ended.journey != *journey || ended.last_message.is_some());
    }

    /// The key under which `again` and regret remember a journey.
    pub(crate) fn ended_key(campaign: &str, object: Option<&str>) -> String {
        format!("{campaign}\n{}", object.unwrap_or(""))
    }
}
