//! The outside's forms into the engine's inputs. Pure: no clock, no I/O; the same message gives the same inputs.
//!
//! # Rules
//! - **Key**: a record is keyed by the strongest name that its source may claim, and carries all of them, so that the stronger home
//!   claims the weaker (rules P23, P24). Phone numbers and e-mail addresses stand in keys as keyed hashes.
//! - **Id**: the message's own id; the same id counts once (R36). Parts of one message have the id with a suffix.
//! - **Time**: as the source says, corrected, clamped and judged by [`times`].
//! - **Address**: telephone numbers are read once, here, in the region of the shop's own number; one that is no number becomes an
//!   address that says why (R49).
//! - **Consent**: see [`consent`].
//!
//! [`segment`] reads HTTP messages, [`mapping`] records of Kafka sources.

pub mod consent;
pub mod limits;
pub mod mapping;
pub mod person;
pub mod segment;
pub mod times;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cartwheel_engine::input::{ConsentChange, Consented, Event, Fact, Identified, Input, OptOutBy};
use cartwheel_language::{Channel, Value};
use jiff::Timestamp;

use self::person::Person;

/// An event's name and its properties.
type NamedEvent = (String, BTreeMap<String, Value>);

/// What one message or record says, in our words, before it becomes inputs.
#[derive(Clone, Debug)]
struct Told {
    person: Person,
    id: String,
    occurred: Timestamp,
    received: Timestamp,
    traits: BTreeMap<String, Value>,
    consents: Vec<ConsentChange>,
    event: Option<NamedEvent>,
}

impl Told {
    /// The inputs, in the order in which they are to be folded: who it is, then what was done.
    fn inputs(self) -> Vec<Input> {
        let Self { person, id, occurred, received, mut traits, consents, event } = self;
        let Person { key, names, sms, phone } = person;
        if let Some(phone) = phone {
            traits.insert("phone".to_owned(), phone);
        }
        // A customer who opts out at the shop opts the address out: that ends all SMS of the brand there, whatever names share it
        // (R68, rule P17). An attribute that says "none" does not: imports say it of everybody who has not agreed yet.
        let out = event.as_ref().is_some_and(|(name, _)| name == consent::OPTED_OUT)
            && consents.iter().any(|change| change.to == Consented::None);
        let opted_out = sms.as_ref().and_then(|address| address.home.clone()).filter(|_| out);
        // There the engine makes the event itself.
        let event = event.filter(|_| opted_out.is_none());
        let input =
            |suffix: &str, fact: Fact| Input { key: key.clone(), id: format!("{id}{suffix}"), received, names: names.clone(), fact };
        let mut inputs = Vec::with_capacity(2);
        let says_who = !traits.is_empty() || sms.is_some() || !consents.is_empty() || event.is_none();
        let suffix = if event.is_some() { "/traits" } else { "" };
        if says_who {
            let addresses = sms.into_iter().map(|address| (Channel::Sms, address)).collect();
            inputs.push(input(suffix, Fact::Identified(Identified { occurred: Some(occurred), traits, addresses, consents })));
        }
        if let Some((name, properties)) = event {
            inputs.push(input("", Fact::Tracked(Event { name, occurred, properties })));
        }
        if let Some(home) = opted_out {
            let fact = Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Api };
            inputs.push(Input { key: home, id: format!("{id}/opt-out"), received, names: Vec::new(), fact });
        }
        inputs
    }
}
