//! Exceptions: what the customer did ends journeys at event time, also when the message is already on its way (R26, R35).

use std::sync::Arc;

use cartwheel_language::{Campaign, Each, Exception, Of, TriggerKind, Value, condition::Verdict as Truth};

use super::{About, Turn, begin::may_restart};
use crate::{
    customer::{Journey, RecentException, Stage, Trigger},
    data::Properties,
    decision::{Reason, Verdict},
    id::JourneyId,
    input::Event,
    kept::id_at,
};

/// An event that may be an exception.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    id: &'a str,
    event: &'a Event,
    properties: Properties<'a>,
}

impl<'a> From<&'a RecentException> for Candidate<'a> {
    fn from(known: &'a RecentException) -> Self {
        Self { id: &known.id, event: &known.event, properties: Properties::Of(&known.event.properties) }
    }
}

impl Turn<'_> {
    /// Ends the journeys that this event is an exception of.
    pub(super) fn except(&mut self, id: &str, event: &Event, whole: &Value) {
        if !self.campaigns.excepts(&event.name) {
            return;
        }
        let candidate = Candidate { id, event, properties: Properties::Whole(whole) };
        let hit: Vec<JourneyId> = self
            .customer
            .journeys
            .values()
            .filter(|journey| self.is_exception_of(candidate, journey))
            .map(|journey| journey.id.clone())
            .collect();
        for journey in hit {
            self.cancel(&journey, &event.name);
        }
        self.regret(candidate);
    }

    fn is_exception_of(&self, candidate: Candidate<'_>, journey: &Journey) -> bool {
        let Some(campaign) = self.campaign_of(journey) else { return false };
        self.hits(&campaign, journey.version, journey.object.as_ref(), journey.last_trigger(), Some(journey), candidate)
            && !self.restarts(&campaign, journey, candidate)
    }

    /// Whether an event ends a journey of this campaign and object whose newest trigger is this one.
    fn hits(
        &self,
        campaign: &Arc<Campaign>,
        version: u32,
        object: Option<&(String, String)>,
        newest: &Trigger,
        journey: Option<&Journey>,
        Candidate { id, event, properties }: Candidate<'_>,
    ) -> bool {
        if newest.id == id || event.occurred < newest.event.occurred {
            return false;
        }
        campaign.exceptions.iter().filter(|exception| exception.events.contains(&event.name)).any(|exception| {
            self.concerns(exception, object, event)
                && exception.condition.as_ref().is_none_or(|condition| {
                    let mut view = self.view(campaign, version, Some(properties), journey);
                    view.trigger = Some(&newest.event);
                    condition.evaluate(&view) == Truth::True
                })
        })
    }

    /// Whether an exception is about this journey's object. One that carries no such id is about all of them: a missed sale is
    /// cheaper than reminding a buyer.
    fn concerns(&self, exception: &Exception, object: Option<&(String, String)>, event: &Event) -> bool {
        let (Of::Same, Some((name, id))) = (exception.of, object) else { return true };
        let path = self.campaigns.shop().objects.get(name).map(|object| object.id_in(&event.name));
        path.and_then(|path| id_at(&event.properties, path)).is_none_or(|found| found == *id)
    }

    /// An event that is both trigger and exception, for the same object, restarts the wait: if it is a trigger, and a restart is
    /// allowed.
    fn restarts(&self, campaign: &Campaign, journey: &Journey, candidate: Candidate<'_>) -> bool {
        let event = candidate.event;
        let mut triggers = campaign.triggers.iter().filter(|trigger| {
            let TriggerKind::Event { names } = &trigger.kind;
            names.contains(&event.name)
                && match (&trigger.each, &journey.object) {
                    (Each::Customer, None) => true,
                    (Each::Object(name), Some((own, id))) => {
                        let path = self.campaigns.shop().objects.get(name).map(|object| object.id_in(&event.name));
                        name == own && path.and_then(|path| id_at(&event.properties, path)).is_some_and(|found| found == *id)
                    }
                    _ => false,
                }
        });
        may_restart(campaign, journey)
            && triggers.any(|trigger| {
                let view = self.view(campaign, journey.version, Some(candidate.properties), None);
                trigger.condition.as_ref().is_none_or(|condition| condition.evaluate(&view) == Truth::True)
            })
            && self.in_life(campaign, event).is_ok()
    }

    /// Ends a journey because of an exception. With nothing sent the customer is as new.
    fn cancel(&mut self, id: &JourneyId, exception: &str) {
        let Some(journey) = self.customer.journeys.remove(id) else { return };
        let mut about = About::journey(&journey).detail(format!("`{exception}` came"));
        let message = match &journey.stage {
            Stage::Flying { message, .. } => Some(message.clone()),
            _ => None,
        };
        about.message = message.as_ref();
        self.record(Verdict::Ended, Reason::Exception, about);
        if let Some(flight) = message.as_ref().and_then(|message| self.customer.sends.flights.get_mut(message)) {
            // A request: whether it was handed over before is known only with its outcome (rule P18).
            flight.revoked = true;
            self.end(journey);
        } else if journey.sends > 0 {
            self.end(journey);
        } else {
            self.forget(journey);
        }
    }

    /// An exception that came late, of a message that was handed over after it happened (R35).
    fn regret(&mut self, candidate: Candidate<'_>) {
        let Candidate { id, event, .. } = candidate;
        let mut regretted = Vec::new();
        for (key, ended) in &self.customer.ended {
            let Some(sent) = ended.last_message.filter(|sent| event.occurred < *sent && !ended.regretted) else { continue };
            let Some((name, object)) = key.split_once('\n') else { continue };
            let Some(campaign) = self.campaigns.version(name, ended.version) else { continue };
            let object = ended.object.as_ref().map(|kind| (kind.clone(), object.to_owned()));
            let concerned = ended.trigger != id
                && event.occurred >= ended.triggered
                && campaign.exceptions.iter().any(|exception| {
                    exception.events.contains(&event.name)
                        && self.concerns(exception, object.as_ref(), event)
                        && exception.condition.as_ref().is_none_or(|condition| {
                            // What began the journey is not kept: a condition that asks for it is not true.
                            let view = self.view(campaign, ended.version, Some(candidate.properties), None);
                            condition.evaluate(&view) == Truth::True
                        })
                });
            if concerned {
                regretted.push((key.clone(), name.to_owned(), ended.version, sent));
            }
        }
        for (key, campaign, version, sent) in regretted {
            if let Some(ended) = self.customer.ended.get_mut(&key) {
                ended.regretted = true;
            }
            let object = key.split_once('\n').map(|(_, object)| object).filter(|object| !object.is_empty());
            let values = [("sent_at".to_owned(), sent.into()), ("happened_at".to_owned(), event.occurred.into())].into();
            let mut about = About::campaign(&campaign, version).detail(format!("`{}` came late", event.name)).values(values);
            about.object = object;
            self.record(Verdict::Regretted, Reason::LateException, about);
        }
    }

    /// The remembered exception that would have ended a journey of this trigger, which comes late (rule P24).
    pub(super) fn recent_exception(
        &self,
        campaign: &Arc<Campaign>,
        version: u32,
        object: Option<&(String, String)>,
        trigger: &Trigger,
    ) -> Option<String> {
        let recent = self.customer.history.recent.iter();
        // One that happened at the very moment but came first is before it: only what is strictly later counts here.
        let mut later = recent.filter(|known| known.event.occurred > trigger.event.occurred && known.event.name != trigger.event.name);
        later
            .find(|known| self.hits(campaign, version, object, trigger, None, Candidate::from(*known)))
            .map(|known| known.event.name.clone())
    }

    /// Ends the journey if one of these exceptions, which another home remembers, concerns it (rule P24).
    pub(super) fn except_met(&mut self, id: &JourneyId, remembered: &[RecentException]) {
        let Some(journey) = self.customer.journeys.get(id) else { return };
        let hit = remembered.iter().find(|known| self.is_exception_of(Candidate::from(*known), journey));
        if let Some(name) = hit.map(|known| known.event.name.clone()) {
            self.cancel(id, &name);
        }
    }
}
