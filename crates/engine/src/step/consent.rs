//! Who the customer is and what the customer allows: identify, opt-out, opt-in, replies (R67, R68).

use std::collections::BTreeMap;

use cartwheel_language::{Channel, Value};

use super::{About, Turn};
use crate::{
    customer::{Block, Consent},
    decision::{Reason, Verdict},
    input::{Consented, Identified, OptOutBy},
};

impl Turn<'_> {
    pub(super) fn identify(&mut self, identified: &Identified) {
        if !self.customer.history.admit(&self.input.id, self.now) {
            return;
        }
        self.claim_names();
        let said = self.cause.occurred;
        let profile = &mut self.customer.profile;
        for (name, value) in &identified.traits {
            profile.set(name, value, said);
        }
        for (channel, address) in &identified.addresses {
            profile.set_address(*channel, address);
        }
        for change in &identified.consents {
            let profile = &mut self.customer.profile;
            if profile.consents.get(&change.channel).is_some_and(|known| known.at > said || known.to == change.to) {
                continue;
            }
            let consent = Consent { to: change.to, at: said, source: change.source.clone(), proof: change.proof.clone() };
            profile.consents.insert(change.channel, consent);
            let word = match change.to {
                Consented::None => "none",
                Consented::Transactional => "transactional",
                Consented::Promotional => "promotional",
            };
            let values = BTreeMap::from([
                ("channel".to_owned(), Value::from(change.channel.name())),
                ("to".to_owned(), Value::from(word)),
                ("source".to_owned(), Value::from(change.source.as_str())),
            ]);
            self.record(Verdict::Consent, Reason::ConsentChanged, About::default().values(values));
        }
    }

    /// Whether this home is the address's own: there the opt-out stays for ever, whoever the customer is (rule P17).
    fn at_the_address(&self) -> bool {
        self.input.names.is_empty() || self.input.names.contains(self.key())
    }

    /// Keeps an opt-out or opt-in at the address's own home; also where the customer has moved away.
    pub(super) fn keep_at_address(&mut self, channel: Channel, block: Option<OptOutBy>) {
        if !self.at_the_address() {
            return;
        }
        match block {
            Some(by) => {
                self.customer.blocked.insert(channel, Block { at: self.now, by });
            }
            None => {
                self.customer.blocked.remove(&channel);
            }
        }
    }

    pub(super) fn opted_out(&mut self, channel: Channel, by: OptOutBy) {
        self.customer.profile.stopped.insert(channel, Block { at: self.now, by });
        for flight in self.customer.sends.flights.values_mut().filter(|flight| flight.channel == channel) {
            flight.revoked = true;
        }
        let values = BTreeMap::from([
            ("channel".to_owned(), Value::from(channel.name())),
            ("by".to_owned(), Value::from(format!("{by:?}").to_lowercase())),
        ]);
        self.record(Verdict::Consent, Reason::OptedOut, About::default().values(values));
        self.derive("Opted Out", self.now);
    }

    pub(super) fn opted_in(&mut self, channel: Channel) {
        self.customer.profile.stopped.remove(&channel);
        self.customer.profile.replied.insert(channel, self.now);
        let values = BTreeMap::from([("channel".to_owned(), Value::from(channel.name()))]);
        self.record(Verdict::Consent, Reason::OptedIn, About::default().values(values));
        self.derive("Opted In", self.now);
    }

    pub(super) fn replied(&mut self, channel: Channel) {
        self.customer.profile.replied.insert(channel, self.now);
        self.derive("Message Replied", self.now);
    }
}
