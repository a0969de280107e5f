//! Names that meet (rules P23, P24): a stronger home claims a weaker, which hands over all it has and forwards for ever after.

use cartwheel_language::{Campaign, Each};

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
        let mut names = self.input.names.clone();
        if names.is_empty() && matches!(fact, Fact::OptedOut { .. } | Fact::OptedIn { .. }) {
            // What is kept at the address's home is not kept where it is passed on to.
            names.push(self.key().clone());
        }
        let input = Input { key: to, id: self.input.id.clone(), received: self.input.received, names, fact };
        self.effect(Effect::Emit { slot, input: Box::new(input) });
    }

    /// Passes the record on where this home is not the customer: it has moved, or the record knows a stronger name. True if there is
    /// nothing left to do here.
    pub(super) fn forward(&mut self) -> bool {
        if !self.at_the_address() {
            return true;
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
            self.customer.bound_names(name);
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
        let theirs: Vec<JourneyId> = journeys.keys().cloned().collect();
        let ours: Vec<JourneyId> = self.customer.journeys.keys().cloned().collect();
        let remembered = history.recent.iter().cloned().collect::<Vec<_>>();
        let remembered_here = self.customer.history.recent.iter().cloned().collect::<Vec<_>>();
        let own = &mut *self.customer;
        own.names.extend(names);
        own.names.insert(from.clone());
        own.bound_names(from);
        own.profile.join(profile);
        own.history.join(history, self.now);
        own.carts.join(carts);
        own.sends.join(sends);
        self.forget_zone();
        // A stop of either holds back what is on its way for both.
        let own = &mut *self.customer;
        for flight in own.sends.flights.values_mut() {
            flight.revoked |= own.profile.stopped.contains_key(&flight.channel);
        }
        for (_, journey) in journeys {
            self.join_journey(journey);
        }
        let own = &mut *self.customer;
        for (key, theirs) in ended {
            if own.ended.get(&key).is_none_or(|known| known.at < theirs.at) {
                own.ended.insert(key, theirs);
            }
        }
        own.bound_ended();
        for id in &ours {
            if let Some(journey) = self.customer.journeys.get(id).filter(|journey| self.had_already(journey)).cloned() {
                self.customer.journeys.remove(id);
                self.give_way(journey, Reason::NotAgain);
            }
        }
        // Each home has checked its own journeys against its own exceptions as they came.
        theirs.iter().for_each(|id| self.except_met(id, &remembered_here));
        ours.iter().for_each(|id| self.except_met(id, &remembered));
    }

    /// Takes a journey in; of two for the same object one goes on: the one that sent, else the one whose message is on its way, else
    /// the newer. The other one's trigger counts as one that came again.
    fn join_journey(&mut self, theirs: Journey) {
        let campaign = self.campaign_of(&theirs);
        if self.had_already(&theirs) {
            return self.give_way(theirs, Reason::NotAgain);
        }
        let parallel = campaign.as_ref().is_none_or(|campaign| campaign.parallel);
        let one_each = one_at_a_time(campaign.as_deref(), &theirs);
        let same = |own: &&Journey| own.campaign == theirs.campaign && ((own.object == theirs.object && one_each) || !parallel);
        let Some(id) = self.customer.journeys.values().find(same).map(|own| own.id.clone()) else {
            self.make_room();
            self.customer.journeys.insert(theirs.id.clone(), theirs);
            return;
        };
        let Some(own) = self.customer.journeys.remove(&id) else { return };
        let same_object = own.object == theirs.object;
        let strength = |journey: &Journey| {
            let newest = Some(journey.newest.event.occurred).filter(|_| same_object);
            // Of two objects where only one may be under way, the one that was there first.
            (journey.sends > 0, matches!(journey.stage, Stage::Flying { .. }), newest, std::cmp::Reverse(journey.began))
        };
        let (goes_on, gives_way) = if strength(&own) >= strength(&theirs) { (own, theirs) } else { (theirs, own) };
        let id = goes_on.id.clone();
        let came_again = Some(gives_way.last_trigger().clone())
            .filter(|trigger| same_object && trigger.event.occurred > goes_on.last_trigger().event.occurred);
        self.customer.journeys.insert(id.clone(), goes_on);
        self.give_way(gives_way, Reason::Identity);
        if let Some(trigger) = came_again {
            // Refused where the campaign does not begin anew; the decision says that the other one gave way.
            let _ = self.restart(&id, trigger);
        }
    }

    /// Whether the person had the journey of this object already, at the other home, and `again` forbids another one.
    fn had_already(&self, journey: &Journey) -> bool {
        let Some(campaign) = self.campaign_of(journey) else { return false };
        journey.sends == 0 && one_at_a_time(Some(&campaign), journey) && self.may_begin_again(&campaign, journey, journey.began).is_err()
    }

    /// A journey gives way to another one of the same person; what it has on its way is held back.
    fn give_way(&mut self, mut journey: Journey, reason: Reason) {
        self.record(Verdict::Merged, reason, About::journey(&journey));
        self.disarm(&mut journey);
        if let Stage::Flying { message, .. } = &journey.stage
            && let Some(flight) = self.customer.sends.flights.get_mut(message)
        {
            flight.revoked = true;
        }
    }
}

/// Whether the campaign has one journey per object; journeys of single events never meet.
fn one_at_a_time(campaign: Option<&Campaign>, journey: &Journey) -> bool {
    journey.object.is_some() || campaign.is_none_or(|campaign| campaign.triggers.iter().all(|trigger| trigger.each != Each::Event))
}
