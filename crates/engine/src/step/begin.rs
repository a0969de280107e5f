//! A trigger: may a journey begin, or begin anew? Every no is on record with its reason.

use std::{collections::BTreeMap, sync::Arc};

use cartwheel_language::{
    Again, Campaign, Each, Restarts, Trigger as TriggerRule, TriggerKind, Value,
    condition::{Condition, Verdict as Truth},
};

use jiff::Timestamp;

use super::{About, Turn};
use crate::{
    campaigns::CampaignState,
    customer::{Customer, JOURNEYS_LIMIT, Journey, Stage, Trigger},
    data::{Properties, View},
    decision::{Reason, Verdict},
    id::JourneyId,
    input::Event,
    kept::{TRIGGER_BYTES, id_at},
};

/// Why a trigger begins nothing.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    detail: Option<String>,
    values: BTreeMap<String, Value>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None, values: BTreeMap::new() }
    }
}

impl Refusal {
    /// Refuses with what the condition saw. What cannot be worked out is not true, and the decision names it.
    fn unless_true(condition: &Condition, view: &View<'_>, reason: Reason) -> Result<(), Self> {
        let detail = match condition.evaluate(view) {
            Truth::True => return Ok(()),
            Truth::False => None,
            Truth::Unknown(why) => Some(why),
        };
        Err(Self { reason, detail, values: condition.observed(view) })
    }
}

impl Turn<'_> {
    /// Lets an event begin journeys of every campaign that listens to it.
    pub(super) fn trigger(&mut self, id: &str, event: &Event, whole: &Value) {
        let campaigns = self.campaigns;
        for name in campaigns.listeners(&event.name) {
            let Some(live) = campaigns.live(name) else { continue };
            let Some(campaign) = campaigns.version(name, live.version) else { continue };
            let mut refused = None;
            let mut done = false;
            for rule in &campaign.triggers {
                let TriggerKind::Event { names } = &rule.kind;
                if !names.contains(&event.name) {
                    continue;
                }
                match self.consider(campaign, live.version, rule, id, (event, whole)) {
                    Ok(()) => {
                        done = true;
                        break;
                    }
                    Err(refusal) => refused = refused.or(Some(refusal)),
                }
            }
            if let (false, Some((object, refusal))) = (done, refused) {
                let mut about = About::campaign(name, live.version).values(refusal.values);
                about.object = object.as_deref();
                about.detail = refusal.detail;
                self.record(Verdict::NotBegun, refusal.reason, about);
            }
        }
    }

    /// Begins a journey, or begins one anew; else says why not, and for which object.
    fn consider(
        &mut self,
        campaign: &Arc<Campaign>,
        version: u32,
        rule: &TriggerRule,
        id: &str,
        event: (&Event, &Value),
    ) -> Result<(), (Option<String>, Refusal)> {
        let object = match &rule.each {
            Each::Customer | Each::Event => None,
            Each::Object(name) => {
                let path = self.campaigns.shop().objects.get(name).map(|object| object.id_in(&event.0.name));
                let found = path.and_then(|path| id_at(&event.0.properties, path));
                let missing = || Refusal {
                    detail: Some(format!("`{}` does not carry the id of its {name}", event.0.name)),
                    ..Reason::ObjectMissing.into()
                };
                Some((name.clone(), found.ok_or_else(|| (None, missing()))?))
            }
        };
        let object_id = object.as_ref().map(|(_, id)| id.clone());
        self.admit_trigger(campaign, version, rule, id, event, object).map_err(|refusal| (object_id, refusal))
    }

    fn admit_trigger(
        &mut self,
        campaign: &Arc<Campaign>,
        version: u32,
        rule: &TriggerRule,
        id: &str,
        (event, whole): (&Event, &Value),
        object: Option<(String, String)>,
    ) -> Result<(), Refusal> {
        self.in_life(campaign, event)?;
        if let Some(condition) = &rule.condition {
            let view = self.view(campaign, version, Some(Properties::Whole(whole)), None);
            Refusal::unless_true(condition, &view, Reason::WhereNotTrue)?;
        }
        let kept = self.campaigns.journey_reads(&campaign.name, version).map(|reads| reads.keep(event, TRIGGER_BYTES));
        let trigger = Trigger { id: id.to_owned(), event: kept.ok_or(Reason::CampaignGone)? };
        if let Some(exception) = self.recent_exception(campaign, version, object.as_ref(), &trigger) {
            return Err(Refusal { detail: Some(format!("`{exception}` happened after it and came first")), ..Reason::Exception.into() });
        }
        let same = |journey: &&Journey| journey.campaign == campaign.name && journey.object == object;
        let under_way = match rule.each {
            Each::Event => None,
            _ => self.customer.journeys.values().find(same).map(|journey| journey.id.clone()),
        };
        if let Some(journey) = under_way {
            return self.restart(&journey, trigger);
        }
        if !campaign.parallel && self.customer.journeys.values().any(|journey| journey.campaign == campaign.name) {
            return Err(Reason::NotParallel.into());
        }
        let journey = Self::new_journey(campaign, version, object, trigger, self.key().clone(), self.now);
        if rule.each != Each::Event {
            self.may_begin_again(campaign, &journey, self.now)?;
        }
        if let Some(condition) = &campaign.audience {
            let view = self.view(campaign, version, Some(Properties::Whole(whole)), Some(&journey));
            Refusal::unless_true(condition, &view, Reason::NotInAudience)?;
        }
        self.begin(journey);
        Ok(())
    }

    /// Whether the campaign's life allows this event to begin anything (R28, R35).
    pub(super) fn in_life(&self, campaign: &Campaign, event: &Event) -> Result<(), Refusal> {
        let live = self.campaigns.live(&campaign.name).ok_or(Reason::CampaignGone)?;
        if live.state == CampaignState::Paused {
            return Err(Reason::Paused.into());
        }
        if self.after(event.occurred, campaign.ignore_older_than) < self.now {
            return Err(Refusal {
                detail: Some(format!("it came more than {} after it happened", campaign.ignore_older_than)),
                ..Reason::TooOld.into()
            });
        }
        let from = campaign.runs.from.as_ref().map_or(live.since, |from| from.instant(&self.zone().0));
        if event.occurred < from {
            return Err(Reason::BeforeStart.into());
        }
        if campaign.runs.to.as_ref().is_some_and(|to| to.instant(&self.zone().0) <= self.now) {
            return Err(Reason::AfterEnd.into());
        }
        Ok(())
    }

    /// Whether `again` allows this journey to begin at this moment, after the last one of the same object.
    pub(super) fn may_begin_again(&self, campaign: &Campaign, journey: &Journey, at: Timestamp) -> Result<(), Refusal> {
        let object = journey.object.as_ref().map(|(_, id)| id.as_str());
        let Some(ended) = self.customer.ended.get(&Customer::ended_key(&campaign.name, object)) else { return Ok(()) };
        let free_at = match campaign.again {
            Again::Always => return Ok(()),
            Again::Never => return Err(Reason::NotAgain.into()),
            Again::After(span) => ended.last_message.map(|at| self.after(at, span)),
        };
        match free_at.filter(|free_at| at < *free_at) {
            Some(free_at) => {
                Err(Refusal { values: BTreeMap::from([("free_at".to_owned(), Value::Timestamp(free_at))]), ..Reason::NotAgain.into() })
            }
            None => Ok(()),
        }
    }

    /// A trigger for an object whose journey is under way (LANGUAGE.md, `restarts`).
    pub(super) fn restart(&mut self, id: &JourneyId, trigger: Trigger) -> Result<(), Refusal> {
        let Some(mut journey) = self.customer.journeys.remove(id) else { return Ok(()) };
        let allowed = self.campaign_of(&journey).is_some_and(|campaign| may_restart(&campaign, &journey));
        let newer = trigger.event.occurred >= journey.last_trigger().event.occurred;
        if !allowed || !newer {
            self.customer.journeys.insert(id.clone(), journey);
            return Err(Reason::UnderWay.into());
        }
        if let Stage::Flying { message, restart, .. } = &mut journey.stage {
            // Nobody knows yet whether it was handed over: hold it back, and begin anew once that is known (rule P18).
            *restart = Some(Box::new(trigger));
            let message = message.clone();
            if let Some(flight) = self.customer.sends.flights.get_mut(&message) {
                flight.revoked = true;
            }
            self.customer.journeys.insert(id.clone(), journey);
            return Ok(());
        }
        self.begin_anew(journey, trigger);
        Ok(())
    }

    /// Puts a journey back to its first step with a newer trigger.
    pub(super) fn begin_anew(&mut self, mut journey: Journey, trigger: Trigger) {
        journey.newest = trigger;
        journey.restarts += 1;
        journey.step = 0;
        self.record(Verdict::Restarted, Reason::Retriggered, About::journey(&journey));
        let now = self.now;
        self.walk(journey, now);
    }

    fn new_journey(
        campaign: &Campaign,
        version: u32,
        object: Option<(String, String)>,
        trigger: Trigger,
        key: crate::key::CustomerKey,
        now: Timestamp,
    ) -> Journey {
        let id = JourneyId::new(&campaign.name, object.as_ref().map(|(_, id)| id.as_str()), None, &trigger.id, &key);
        Journey {
            id,
            campaign: campaign.name.clone(),
            version,
            object,
            newest: trigger.clone(),
            trigger,
            began: now,
            step: 0,
            stage: Stage::Waiting { reached: now },
            arming: 0,
            armed: None,
            round: 0,
            sends: 0,
            last_message: None,
            restarts: 0,
        }
    }

    fn begin(&mut self, journey: Journey) {
        self.record(Verdict::Began, Reason::Planned, About::journey(&journey));
        self.make_room();
        let now = self.now;
        self.walk(journey, now);
    }

    /// State is bounded: the oldest journey without a message on its way gives way.
    pub(super) fn make_room(&mut self) {
        while self.customer.journeys.len() >= JOURNEYS_LIMIT {
            let idle = self.customer.journeys.values().filter(|journey| !matches!(journey.stage, Stage::Flying { .. }));
            let Some(oldest) = idle.min_by_key(|journey| (journey.began, journey.id.clone())).map(|journey| journey.id.clone()) else {
                return;
            };
            if let Some(journey) = self.customer.journeys.remove(&oldest) {
                self.record(Verdict::Ended, Reason::Bounded, About::journey(&journey));
                self.end(journey);
            }
        }
    }
}

/// Whether a trigger may begin this journey anew (LANGUAGE.md, `restarts`).
pub(super) fn may_restart(campaign: &Campaign, journey: &Journey) -> bool {
    match campaign.restarts {
        Restarts::Always => true,
        Restarts::UntilSent => journey.sends == 0,
        Restarts::Never => false,
    }
}
