//! Who the customer is and what the customer allows.

use std::collections::BTreeMap;

use cartwheel_language::{Channel, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    input::{Address, Consented, OptOutBy},
    kept::size,
};

/// The most attributes of a profile; further ones are not kept.
const ATTRIBUTES_LIMIT: usize = 256;

/// The most bytes of an attribute; a larger one is not kept.
const ATTRIBUTE_BYTES: usize = 2048;

/// Attributes, addresses, consents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Attributes by name, as last said by event time.
    pub attributes: BTreeMap<String, Value>,
    /// When each attribute was said, so that what comes late does not overwrite what is newer (R35).
    pub said: BTreeMap<String, Timestamp>,
    /// Where each channel reaches the customer.
    pub addresses: BTreeMap<Channel, Address>,
    /// When each address was said.
    pub addressed: BTreeMap<Channel, Timestamp>,
    /// Addresses that failed for good, until they change.
    pub dead: BTreeMap<Channel, String>,
    /// What the customer agreed to.
    pub consents: BTreeMap<Channel, Consent>,
    /// The customer's own stop; only the customer's own start lifts it.
    pub stopped: BTreeMap<Channel, Block>,
    /// The customer's last own message on a channel.
    pub replied: BTreeMap<Channel, Timestamp>,
}

/// What a customer agreed to, with its proof (R67).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// To what.
    pub to: Consented,
    /// When.
    pub at: Timestamp,
    /// Where it was given.
    pub source: String,
    /// What proves it.
    pub proof: Option<String>,
}

/// An opt-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// When.
    pub at: Timestamp,
    /// How it was said.
    pub by: OptOutBy,
}

impl Profile {
    /// Sets an attribute that was said at a moment, unless a later saying is known; null clears it.
    pub(crate) fn set(&mut self, name: &str, value: &Value, said: Timestamp) {
        if self.said.get(name).is_some_and(|known| *known > said) {
            return;
        }
        if size(value) > ATTRIBUTE_BYTES || (!self.said.contains_key(name) && self.said.len() >= ATTRIBUTES_LIMIT) {
            return;
        }
        self.said.insert(name.to_owned(), said);
        if value.is_null() {
            self.attributes.remove(name);
        } else {
            self.attributes.insert(name.to_owned(), value.clone());
        }
    }

    /// Takes an address that was said at a moment, unless a later saying is known; a changed one is no longer dead. Whether messages
    /// now go elsewhere.
    pub(crate) fn set_address(&mut self, channel: Channel, address: &Address, said: Timestamp) -> bool {
        if self.addressed.get(&channel).is_some_and(|known| *known > said) {
            return false;
        }
        let changed = self.addresses.get(&channel).is_none_or(|known| known.value != address.value);
        if changed {
            self.dead.remove(&channel);
        }
        self.addressed.insert(channel, said);
        self.addresses.insert(channel, address.clone());
        changed
    }

    /// A text attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_text)
    }

    /// Joins what a weaker home gathered: the newer saying of each attribute, the stricter of consents and stops (rule P24, R45).
    pub(crate) fn join(&mut self, other: Profile) {
        for (name, value) in &other.attributes {
            self.set(name, value, other.said.get(name).copied().unwrap_or(Timestamp::MIN));
        }
        for (channel, address) in other.addresses {
            let said = other.addressed.get(&channel).copied().unwrap_or(Timestamp::MIN);
            // Said at the same moment, the stronger home's own stays.
            if self.addressed.get(&channel).is_none_or(|own| *own < said) {
                self.set_address(channel, &address, said);
            }
            if let Some(reason) = other.dead.get(&channel)
                && self.addresses.get(&channel).is_some_and(|own| own.value == address.value)
            {
                self.dead.insert(channel, reason.clone());
            }
        }
        for (channel, consent) in other.consents {
            match self.consents.get_mut(&channel) {
                Some(own) if own.to > consent.to => *own = consent,
                Some(_) => {}
                None => {
                    self.consents.insert(channel, consent);
                }
            }
        }
        for (channel, block) in other.stopped {
            self.stopped.entry(channel).or_insert(block);
        }
        for (channel, at) in other.replied {
            let own = self.replied.entry(channel).or_insert(at);
            *own = (*own).max(at);
        }
    }
}
