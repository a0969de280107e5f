//! Names that meet (rules P23, P24): a stronger home claims a weaker, which hands over all it has and forwards for ever after.

use super::{About, Turn};
use crate::{
    customer::{Customer, Journey, Stage},
    decision::{Reason, Verdict},
    effect::Effect,
    id::JourneyId,
    input::{Fact, Input, OutcomeResult},
    key::{CustomerKey, NameKind},
};

/// The slots of emitted records (rule P2): fixed for each kind of effect, ascending as they are emitted.
mod slot {
    pub(super) const FORWARD: u16 = 0;
    pub(super) const HAND_OVER: u16 = 1;
    /// The claim of a record's n-th name.
    pub(super) const CLAIM: u16 = 16;
}

impl Turn<'_> {
    fn emit(&mut self, slot: u16, to: CustomerKey, fact: Fact) {
        let input = Input { key: to, id: self.input.id.clone(), received: self.input.received, names: self.input.names.clone(), fact };
        self.effect(Effect::Emit { slot, input: Box::new(input) });
    }

    /// Passes the record on where this home is not the customer: it has moved, or the record knows a stronger name.
    pub(super) fn forward(&mut self) -> bool {
        match &self.input.fact {
            Fact::OptedOut { channel, by } => self.keep_at_address(*channel, Some(*by)),
            Fact::OptedIn { channel } => self.keep_at_address(*channel, None),
            _ => {}
        }
        let Some(to) = self.customer.moved_to.clone().or_else(|| self.stronger_name()) else { return false };
        match &self.input.fact {
            // The first holder stays; who asks later keeps the address, but not the person (rule P23).
            Fact::Claimed { .. } => return true,
            Fact::Outcome(outcome) if !matches!(outcome.result, OutcomeResult::Delivered) => {
                self.customer.moved_flights.remove(&outcome.message);
            }
            _ => {}
        }
        self.emit(slot::FORWARD, to, self.input.fact.clone());
        true
    }

    /// A name in the record that would claim this home: the record belongs there.
    fn stronger_name(&self) -> Option<CustomerKey> {
        if !matches!(self.input.fact, Fact::Tracked(_) | Fact::Identified(_)) {
            return None;
        }
        let mut strongest = self.input.names.iter().filter(|name| name.kind() == NameKind::User && self.key().kind() != NameKind::User);
        strongest.next().cloned()
    }

    /// Claims the other names of a record. Two ids of the shop's own are two customers: they never claim each other.
    pub(super) fn claim_names(&mut self) {
        let names = self.input.names.iter().enumerate();
        for (position, name) in names {
            if name.kind() == NameKind::User || !self.key().outranks(name) || !self.customer.names.insert(name.clone()) {
                continue;
            }
            let slot = slot::CLAIM.saturating_add(u16::try_from(position).unwrap_or(u16::MAX - slot::CLAIM));
            let by = self.key().clone();
            self.emit(slot, name.clone(), Fact::Claimed { by });
        }
    }

    /// A stronger name asks. This home is still the customer (else the claim was answered in [`Self::forward`]), so it goes.
    pub(super) fn claimed(&mut self, by: &CustomerKey) {
        if !by.outranks(self.key()) {
            return;
        }
        let mut leaving = std::mem::take(self.customer);
        let stays = &mut *self.customer;
        stays.folded = leaving.folded;
        stays.blocked = std::mem::take(&mut leaving.blocked);
        stays.moved_to = Some(by.clone());
        stays.moved_flights = std::mem::take(&mut leaving.moved_flights);
        let own = leaving.sends.flights.iter().filter(|(_, flight)| flight.decided_at == self.input.key);
        stays.moved_flights.extend(own.map(|(id, flight)| (id.clone(), flight.until)));
        leaving.folded = 0;
        self.record(Verdict::Moved, Reason::Identity, About::default());
        let from = self.key().clone();
        self.emit(slot::HAND_OVER, by.clone(), Fact::HandedOver { from, state: leaving.encode() });
    }

    /// A weaker name has come, with all that it gathered; what was gathered is kept, and each journey goes on once (R45).
    pub(super) fn handed_over(&mut self, from: &CustomerKey, state: &[u8]) {
        let other = match Customer::decode(state) {
            Ok(other) => other,
            Err(error) => return self.record(Verdict::Ignored, Reason::Poison, About::default().detail(error.to_string())),
        };
        self.record(Verdict::Moved, Reason::Identity, About::default());
        let Customer { names, profile, history, carts, journeys, ended, sends, .. } = other;
        let own = &mut *self.customer;
        own.names.insert(from.clone());
        own.names.extend(names);
        own.profile.join(profile);
        own.history.join(history, self.now);
        own.carts.join(carts);
        own.sends.join(sends);
        for (key, theirs) in ended {
            if own.ended.get(&key).is_none_or(|known| known.at < theirs.at) {
                own.ended.insert(key, theirs);
            }
        }
        // A stop of either holds back what is on its way for both.
        for flight in own.sends.flights.values_mut() {
            flight.revoked |= own.profile.stopped.contains_key(&flight.channel);
        }
        for (_, journey) in journeys {
            self.join_journey(journey);
        }
        let all: Vec<JourneyId> = self.customer.journeys.keys().cloned().collect();
        for id in all {
            self.except_handed(&id);
        }
    }

    /// Takes a journey in; of two for the same object one goes on: the one whose message is on its way, else the newer.
    fn join_journey(&mut self, theirs: Journey) {
        let same = |own: &&Journey| own.campaign == theirs.campaign && own.object == theirs.object && self.one_at_a_time(&theirs);
        let Some(id) = self.customer.journeys.values().find(same).map(|own| own.id.clone()) else {
            self.make_room();
            self.customer.journeys.insert(theirs.id.clone(), theirs);
            return;
        };
        let Some(own) = self.customer.journeys.remove(&id) else { return };
        let strength =
            |journey: &Journey| (journey.sends > 0, matches!(journey.stage, Stage::Flying { .. }), journey.newest.event.occurred);
        let (goes_on, mut gives_way) = if strength(&own) >= strength(&theirs) { (own, theirs) } else { (theirs, own) };
        self.record(Verdict::Merged, Reason::Identity, About::journey(&gives_way));
        self.disarm(&mut gives_way);
        if let Stage::Flying { message, .. } = &gives_way.stage
            && let Some(flight) = self.customer.sends.flights.get_mut(message)
        {
            flight.revoked = true;
        }
        self.customer.journeys.insert(goes_on.id.clone(), goes_on);
    }

    /// Whether the campaign has one journey per object; journeys of single events never meet.
    fn one_at_a_time(&self, journey: &Journey) -> bool {
        journey.object.is_some()
            || self
                .campaign_of(journey)
                .is_none_or(|campaign| campaign.triggers.iter().all(|trigger| trigger.each != cartwheel_language::Each::Event))
    }
}
