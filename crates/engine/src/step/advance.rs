//! Walking a journey: waits, timers that look again, and what comes after a step.

use cartwheel_language::{Campaign, Verb, Wait, condition::Verdict as Truth, time::next_time_of_day};
use jiff::{SignedDuration, Timestamp};

use super::{About, Turn, send::Attempt};
use crate::{
    campaigns::CampaignState,
    customer::{Journey, Stage},
    decision::{Reason, Verdict},
    id::TimerId,
};

/// A paused campaign's due messages look again after this long; a resume is felt within it.
const PAUSE_LOOK: SignedDuration = SignedDuration::from_mins(10);

impl Turn<'_> {
    /// A timer came due. One that no journey waits for is of an earlier arming, or came twice: nothing happens.
    pub(super) fn timer_fired(&mut self, timer: &TimerId, due: Timestamp) {
        if self.session_timer(timer, due) {
            return;
        }
        let waits = |journey: &&Journey| journey.armed.as_ref().is_some_and(|armed| armed.timer == *timer);
        let Some(id) = self.customer.journeys.values().find(waits).map(|journey| journey.id.clone()) else { return };
        let Some(mut journey) = self.customer.journeys.remove(&id) else { return };
        journey.armed = None;
        if due > self.now {
            let later = self.not_too_early(due);
            self.arm(&mut journey, later);
            self.record(Verdict::Held, Reason::ClocksDisagree, About::journey(&journey));
            self.customer.journeys.insert(id, journey);
            return;
        }
        if matches!(journey.stage, Stage::Flying { .. }) {
            // Set before the message was decided; what comes next depends on its outcome.
            self.customer.journeys.insert(id, journey);
            return;
        }
        let Some(campaign) = self.alive(&journey) else { return self.end(journey) };
        match journey.stage.clone() {
            Stage::Waiting { reached } => self.wait_or_go_on(&campaign, journey, reached),
            Stage::Holding { due, until, returns } if until <= self.now => self.try_send(&campaign, journey, due, returns),
            Stage::Holding { until, .. } => {
                self.arm(&mut journey, until);
                self.customer.journeys.insert(id, journey);
            }
            Stage::Flying { .. } => {}
        }
    }

    /// The journey's campaign, unless the journey has no future: its campaign is archived, or gone.
    pub(super) fn alive(&mut self, journey: &Journey) -> Option<std::sync::Arc<Campaign>> {
        let reason = match (self.campaigns.live(&journey.campaign).map(|live| live.state), self.campaign_of(journey)) {
            (Some(CampaignState::Active | CampaignState::Paused), Some(campaign)) => return Some(campaign),
            (Some(CampaignState::Archived), _) => Reason::Archived,
            _ => Reason::CampaignGone,
        };
        self.record(Verdict::Ended, reason, About::journey(journey));
        None
    }

    /// Goes through the steps from where the journey stands until one makes it wait. `due` is when that step was reached: a send
    /// behind a wait was due when the wait was over, not when its timer came round.
    pub(super) fn walk(&mut self, mut journey: Journey, due: Timestamp) {
        let Some(campaign) = self.alive(&journey) else { return self.end(journey) };
        loop {
            let Some(step) = campaign.steps.get(usize::from(journey.step)) else {
                self.record(Verdict::Ended, Reason::Planned, About::journey(&journey));
                return self.end(journey);
            };
            if let Some(condition) = &step.condition {
                let view = self.view_of(&campaign, &journey);
                if condition.evaluate(&view) != Truth::True {
                    let values = condition.observed(&view);
                    self.record(Verdict::Skipped, Reason::ConditionNotTrue, About::journey(&journey).values(values));
                    journey.step += 1;
                    continue;
                }
            }
            match &step.verb {
                Verb::Wait(_) => {
                    journey.stage = Stage::Waiting { reached: self.now };
                    return self.wait_or_go_on(&campaign, journey, self.now);
                }
                Verb::Send(_) => return self.try_send(&campaign, journey, due, 0),
            }
        }
    }

    /// Works a wait's end out afresh: the zone may have changed, and the customer may have broken the silence.
    fn wait_or_go_on(&mut self, campaign: &Campaign, mut journey: Journey, reached: Timestamp) {
        let Some(Verb::Wait(wait)) = campaign.steps.get(usize::from(journey.step)).map(|step| &step.verb) else {
            return self.walk(journey, reached);
        };
        let zone = &self.zone().0;
        let end = match wait {
            Wait::For { span, at } => {
                let end = span.add(reached, zone);
                at.map_or(end, |at| next_time_of_day(end, zone, at))
            }
            Wait::UntilTimeOfDay(at) => next_time_of_day(reached, zone, *at),
            Wait::UntilSilence(span) => span.add(self.customer.history.last_event.unwrap_or(reached), zone),
        };
        if end > self.now {
            self.arm(&mut journey, end);
            self.customer.journeys.insert(journey.id.clone(), journey);
        } else {
            self.go_on(journey, end);
        }
    }

    /// The step is done; `due` is when the next one became due.
    pub(super) fn go_on(&mut self, mut journey: Journey, due: Timestamp) {
        journey.step += 1;
        self.walk(journey, due);
    }

    /// Decides a due message and puts the journey where that leaves it.
    pub(super) fn try_send(&mut self, campaign: &std::sync::Arc<Campaign>, mut journey: Journey, due: Timestamp, returns: u32) {
        let paused = self.campaigns.live(&journey.campaign).is_some_and(|live| live.state == CampaignState::Paused);
        let attempt = if paused { self.hold_paused(campaign, &journey, due) } else { self.decide(campaign, &mut journey, due) };
        match attempt {
            Attempt::Flying(message) => {
                journey.stage = Stage::Flying { due, message, returns, restart: None };
                self.customer.journeys.insert(journey.id.clone(), journey);
            }
            Attempt::Hold(until) => {
                journey.stage = Stage::Holding { due, until, returns };
                self.arm(&mut journey, until);
                self.customer.journeys.insert(journey.id.clone(), journey);
            }
            Attempt::Skip => {
                let now = self.now;
                self.go_on(journey, now);
            }
            Attempt::End => self.end(journey),
        }
    }

    /// A paused campaign holds what is due and lets it expire (LANGUAGE.md, section 10).
    fn hold_paused(&mut self, campaign: &Campaign, journey: &Journey, due: Timestamp) -> Attempt {
        let expiry = campaign.expires_after.add(due, &self.zone().0);
        if expiry <= self.now {
            self.record(Verdict::Skipped, Reason::Expired, About::journey(journey).detail("the campaign was paused until it expired"));
            return Attempt::Skip;
        }
        if !matches!(journey.stage, Stage::Holding { .. }) {
            self.record(Verdict::Held, Reason::Paused, About::journey(journey));
        }
        Attempt::Hold(self.now.saturating_add(PAUSE_LOOK).unwrap_or(expiry).min(expiry))
    }
}
