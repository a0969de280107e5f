//! The one function that decides: folds an input into a customer and says what to do.
//!
//! One file for each thing that can happen: [`track`](self::track), timers ([`advance`]), outcomes, consent, identity. What they
//! share stands here: a [`Turn`] holds the customer, the record's `now` and the effects so far.

mod advance;
mod begin;
mod consent;
mod except;
mod identity;
mod outcome;
mod send;
mod track;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use cartwheel_language::{
    Campaign, Value,
    time::{Span, ZoneSource, zone_of},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    campaigns::Campaigns,
    customer::{Armed, Customer, Ended, Journey},
    data::{Properties, View},
    decision::{Cause, Decision, Reason, Verdict},
    effect::Effect,
    id::{MessageId, TimerId, digest},
    input::{Fact, Input},
    key::CustomerKey,
};

/// Folds one input into the customer's state and appends the effects that it causes.
///
/// `now` is the record's moment (rules P12, P13), never below the one before. The same arguments give the same state and effects,
/// byte for byte.
pub fn step(campaigns: &Campaigns, customer: &mut Customer, now: Timestamp, input: &Input, effects: &mut Vec<Effect>) {
    let cause = Cause::of(input, now);
    let mut turn = Turn { campaigns, customer, now, input, cause, effects, records: 0, zone: OnceLock::new() };
    if turn.forward() {
        return;
    }
    match &input.fact {
        Fact::Tracked(event) => turn.track(event),
        Fact::Identified(identified) => turn.identify(identified),
        Fact::TimerFired { timer, due } => turn.timer_fired(timer, *due),
        Fact::Outcome(outcome) => turn.outcome(outcome),
        Fact::OptedOut { channel, by } => turn.opted_out(*channel, *by),
        Fact::OptedIn { channel } => turn.opted_in(*channel),
        Fact::Replied { channel, .. } => turn.replied(*channel),
        Fact::Claimed { by } => turn.claimed(by),
        Fact::HandedOver { from, state } => turn.handed_over(from, state),
    }
}

/// One call of [`step`].
pub(crate) struct Turn<'a> {
    pub(crate) campaigns: &'a Campaigns,
    pub(crate) customer: &'a mut Customer,
    pub(crate) now: Timestamp,
    pub(crate) input: &'a Input,
    pub(crate) cause: Cause,
    effects: &'a mut Vec<Effect>,
    records: u32,
    zone: OnceLock<(TimeZone, ZoneSource)>,
}

/// What a decision is about, beside the customer.
#[derive(Default)]
pub(crate) struct About<'a> {
    pub(crate) campaign: Option<(&'a str, u32)>,
    pub(crate) journey: Option<&'a Journey>,
    pub(crate) object: Option<&'a str>,
    pub(crate) message: Option<&'a MessageId>,
    pub(crate) detail: Option<String>,
    pub(crate) values: BTreeMap<String, Value>,
}

impl<'a> About<'a> {
    pub(crate) fn campaign(name: &'a str, version: u32) -> Self {
        Self { campaign: Some((name, version)), ..Self::default() }
    }

    pub(crate) fn journey(journey: &'a Journey) -> Self {
        let object = journey.object.as_ref().map(|(_, id)| id.as_str());
        Self { campaign: Some((&journey.campaign, journey.version)), journey: Some(journey), object, ..Self::default() }
    }

    pub(crate) fn message(mut self, message: &'a MessageId) -> Self {
        self.message = Some(message);
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn values(mut self, values: BTreeMap<String, Value>) -> Self {
        self.values = values;
        self
    }
}

impl Turn<'_> {
    /// The home whose log this is.
    pub(crate) fn key(&self) -> &CustomerKey {
        &self.input.key
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Puts a decision on record. Its id comes from the record and the decision's place among those that it caused.
    pub(crate) fn record(&mut self, verdict: Verdict, reason: Reason, about: About<'_>) {
        // Two homes may come because of one record.
        let from = if let Fact::HandedOver { from, .. } = &self.input.fact { from.as_str() } else { "" };
        let id = digest(&["decision", self.key().as_str(), from, &self.input.id, &self.cause.name, &self.records.to_string()]);
        self.records += 1;
        let decision = Decision {
            id,
            customer: self.key().clone(),
            at: self.now,
            campaign: about.campaign.map(|(name, _)| name.to_owned()),
            version: about.campaign.map(|(_, version)| version),
            journey: about.journey.map(|journey| journey.id.clone()),
            object: about.object.map(str::to_owned),
            message: about.message.cloned(),
            verdict,
            reason,
            detail: about.detail,
            cause: self.cause.clone(),
            values: about.values,
        };
        self.effects.push(Effect::Record(Box::new(decision)));
    }

    /// The zone that the customer lives in, and where it is known from (R29).
    pub(crate) fn zone(&self) -> &(TimeZone, ZoneSource) {
        self.zone.get_or_init(|| zone_of_customer(self.campaigns, self.customer))
    }

    /// The moment so long after another one. The zone, which takes a look at the customer's number, is asked for only where the
    /// calendar matters.
    pub(crate) fn after(&self, at: Timestamp, span: Span) -> Timestamp {
        if span.is_calendar() { span.add(at, &self.zone().0) } else { span.add(at, &TimeZone::UTC) }
    }

    /// What the customer's zone is known from has changed.
    pub(crate) fn forget_zone(&mut self) {
        self.zone.take();
    }

    /// What conditions and texts of a journey may look at.
    pub(crate) fn view<'v>(
        &'v self,
        campaign: &'v Campaign,
        version: u32,
        event: Option<Properties<'v>>,
        journey: Option<&'v Journey>,
    ) -> View<'v> {
        View {
            campaigns: self.campaigns,
            customer: self.customer,
            key: self.key(),
            campaign,
            version,
            event,
            journey,
            trigger: None,
            language: None,
            zone: &self.zone,
            now: self.now,
        }
    }

    /// What a journey's own conditions and texts may look at.
    pub(crate) fn view_of<'v>(&'v self, campaign: &'v Campaign, journey: &'v Journey) -> View<'v> {
        self.view(campaign, journey.version, Some(Properties::Of(&journey.newest.event.properties)), Some(journey))
    }

    /// The campaign as the journey's version has it.
    pub(crate) fn campaign_of(&self, journey: &Journey) -> Option<Arc<Campaign>> {
        self.campaigns.version(&journey.campaign, journey.version).cloned()
    }

    /// Sees to it that the customer is woken at `due` at the latest. A timer that comes due earlier stays: it looks and is armed
    /// again, so that no event costs a cancel and a set.
    pub(crate) fn arm(&mut self, journey: &mut Journey, due: Timestamp) {
        if let Some(armed) = &journey.armed {
            if armed.due <= due {
                return;
            }
            let Armed { timer, home, .. } = armed.clone();
            self.effect(Effect::CancelTimer { timer, home });
        }
        journey.arming += 1;
        journey.armed = Some(self.set_timer(TimerId::of_journey(&journey.id, journey.arming), due));
    }

    pub(crate) fn set_timer(&mut self, timer: TimerId, due: Timestamp) -> Armed {
        self.effect(Effect::SetTimer { timer: timer.clone(), due });
        Armed { timer, due, home: self.key().clone() }
    }

    /// Takes a journey's timer away.
    pub(crate) fn disarm(&mut self, journey: &mut Journey) {
        if let Some(Armed { timer, home, .. }) = journey.armed.take() {
            self.effect(Effect::CancelTimer { timer, home });
        }
    }

    /// A journey is over: its timer goes, and what `again` and regret need stays.
    pub(crate) fn end(&mut self, mut journey: Journey) {
        self.disarm(&mut journey);
        let key = Customer::ended_key(&journey.campaign, journey.object.as_ref().map(|(_, id)| id.as_str()));
        let ended = Ended {
            version: journey.version,
            at: self.now,
            last_message: journey.last_message,
            triggered: journey.newest.event.occurred,
            trigger: journey.newest.id,
            object: journey.object.as_ref().map(|(name, _)| name.clone()),
            regretted: false,
            journey: journey.id,
        };
        self.customer.ended.insert(key, ended);
        self.customer.bound_ended();
    }

    /// A journey is over as if it had never been: the next trigger begins again, whatever `again` says.
    pub(crate) fn forget(&mut self, mut journey: Journey) {
        self.disarm(&mut journey);
    }
}

/// The zone that a customer lives in.
pub(crate) fn zone_of_customer(campaigns: &Campaigns, customer: &Customer) -> (TimeZone, ZoneSource) {
    let number = customer
        .profile
        .addresses
        .get(&cartwheel_language::Channel::Sms)
        .map(|address| address.value.as_str())
        .filter(|value| !value.is_empty());
    let profile = customer.profile.text("zone").or_else(|| customer.profile.text("timezone"));
    zone_of(profile, number, &campaigns.shop().zone)
}
