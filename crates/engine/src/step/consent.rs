//! Who the customer is and what the customer allows: identify, opt-out, opt-in, replies (R67, R68).

use std::collections::BTreeMap;

use cartwheel_language::{Channel, Value};

use super::{About, Turn};
use crate::{
    customer::{Block, Consent},
    decision::{Reason, Verdict},
    input::{Consented, Fact, Identified, OptOutBy},
};

impl Turn<'_> {
    pub(super) fn identify(&mut self, identified: &Identified) {
        if !self.customer.history.admit(&self.input.id, self.now) {
            return;
        }
        self.claim_names();
        let said = self.cause.occurred;
        self.forget_zone();
        let profile = &mut self.customer.profile;
        for (name, value) in &identified.traits {
            profile.set(name, value, said);
        }
        let mut stale = Vec::new();
        for (channel, address) in &identified.addresses {
            if profile.set_address(*channel, address, said) {
                stale.push(*channel);
            }
        }
        for change in &identified.consents {
            let profile = &mut self.customer.profile;
            if profile.consents.get(&change.channel).is_some_and(|known| known.at > said || known.to == change.to) {
                continue;
            }
            if profile.consents.get(&change.channel).is_some_and(|known| known.to > change.to) {
                stale.push(change.channel);
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
        for channel in stale {
            self.hold_back(channel);
        }
    }

    /// What is on its way by this channel was decided for another address or under a wider consent: it comes back, if it still can,
    /// and is decided again (R27).
    fn hold_back(&mut self, channel: Channel) {
        for flight in self.customer.sends.flights.values_mut().filter(|flight| flight.channel == channel) {
            flight.revoked = true;
        }
    }

    /// What the owner of an address says is kept at the address's own home, also where the customer has moved away: a record comes
    /// there first, and names it when it is passed on. False if it came before (R36): providers repeat what they report.
    pub(super) fn at_the_address(&mut self) -> bool {
        let block = match &self.input.fact {
            Fact::OptedOut { channel, by } => (*channel, Some(*by)),
            Fact::OptedIn { channel } => (*channel, None),
            _ => return true,
        };
        if !self.input.names.is_empty() && !self.input.names.contains(self.key()) {
            return true;
        }
        if !self.customer.history.admit(&format!("{}\naddress", self.input.id), self.now) {
            return false;
        }
        self.keep_at_address(block.0, block.1);
        true
    }

    /// Keeps an opt-out or opt-in at the address's own home, whoever the customer is (rule P17).
    fn keep_at_address(&mut self, channel: Channel, block: Option<OptOutBy>) {
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
        if !self.customer.history.admit(&self.input.id, self.now) {
            return;
        }
        self.customer.profile.stopped.insert(channel, Block { at: self.now, by });
        self.hold_back(channel);
        let values = BTreeMap::from([
            ("channel".to_owned(), Value::from(channel.name())),
            ("by".to_owned(), Value::from(format!("{by:?}").to_lowercase())),
        ]);
        self.record(Verdict::Consent, Reason::OptedOut, About::default().values(values));
        self.derive("Opted Out", self.now);
    }

    pub(super) fn opted_in(&mut self, channel: Channel) {
        if !self.customer.history.admit(&self.input.id, self.now) {
            return;
        }
        self.customer.profile.stopped.remove(&channel);
        self.customer.profile.replied.insert(channel, self.now);
        let values = BTreeMap::from([("channel".to_owned(), Value::from(channel.name()))]);
        self.record(Verdict::Consent, Reason::OptedIn, About::default().values(values));
        self.derive("Opted In", self.now);
    }

    pub(super) fn replied(&mut self, channel: Channel) {
        if !self.customer.history.admit(&self.input.id, self.now) {
            return;
        }
        self.customer.profile.replied.insert(channel, self.now);
        self.derive("Message Replied", self.now);
    }
}
