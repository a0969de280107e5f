//! What became of a message: places and balance move, and the journey goes on (rules P15, P18, P19).

use jiff::{SignedDuration, Timestamp};

use super::{About, Turn, begin::may_restart};
use crate::{
    customer::{Flight, Handed, HandedState, Journey, Stage},
    decision::{Reason, Verdict},
    id::MessageId,
    input::{Outcome, OutcomeResult, Return, Suppression},
};

/// The first pause after a dispatcher gave a message back; it doubles each time.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(30);

/// The longest such pause.
const BACK_OFF_LIMIT: SignedDuration = SignedDuration::from_mins(15);

/// What an outcome means for the journey.
enum Next {
    /// It goes on; a message may have reached the customer.
    Handed,
    /// It goes on without one.
    Passed(Reason, Option<String>),
    /// The message is decided again at this moment, or at once.
    Again(Option<Timestamp>),
}

impl Turn<'_> {
    pub(super) fn outcome(&mut self, outcome: &Outcome) {
        let (was_sent, is_news) = match self.customer.sends.flights.remove(&outcome.message) {
            Some(flight) => {
                self.landed(outcome, flight);
                (false, true)
            }
            None => self.receipt(outcome),
        };
        if !is_news {
            return;
        }
        let names: &[&str] = match outcome.result {
            OutcomeResult::Sent => &["Message Sent"],
            // What arrived was sent, whichever report came first.
            OutcomeResult::Delivered if !was_sent => &["Message Sent", "Message Delivered"],
            OutcomeResult::Delivered => &["Message Delivered"],
            OutcomeResult::Failed { .. } => &["Message Failed"],
            _ => &[],
        };
        for name in names {
            self.derive(name, outcome.at.min(self.now));
        }
    }

    /// The first outcome of a message on its way.
    fn landed(&mut self, outcome: &Outcome, flight: Flight) {
        let message = &outcome.message;
        let holder = |journey: &&Journey| matches!(&journey.stage, Stage::Flying { message: flying, .. } if flying == message);
        let journey = self.customer.journeys.values().find(holder).map(|journey| journey.id.clone());
        let journey = journey.and_then(|id| self.customer.journeys.remove(&id));
        let returns = match journey.as_ref().map(|journey| &journey.stage) {
            Some(Stage::Flying { returns, .. }) => *returns,
            _ => 0,
        };
        let next = self.settle(outcome, &flight, returns);
        match journey {
            Some(journey) => self.resume(journey, message, next),
            None if matches!(next, Next::Handed) => self.handed_after_end(message, &flight),
            None => self.customer.forget_unsent(&flight.journey),
        }
    }

    /// Moves places and balance.
    fn settle(&mut self, outcome: &Outcome, flight: &Flight, returns: u32) -> Next {
        let now = self.now;
        let handed_at = outcome.at.min(now);
        let sends = &mut self.customer.sends;
        let handed = |state| Handed { state, at: now, campaign: flight.campaign.clone(), channel: flight.channel };
        match &outcome.result {
            OutcomeResult::Sent | OutcomeResult::Delivered => {
                sends.tally.sent += 1;
                sends.move_place(&outcome.message, handed_at);
                let delivered = outcome.result == OutcomeResult::Delivered;
                sends.hand(outcome.message.clone(), handed(if delivered { HandedState::Delivered } else { HandedState::Sent }));
                Next::Handed
            }
            OutcomeResult::Unknown => {
                sends.tally.unknown += 1;
                sends.move_place(&outcome.message, handed_at);
                sends.hand(outcome.message.clone(), handed(HandedState::Unknown));
                Next::Handed
            }
            OutcomeResult::Failed { reason, address } => {
                sends.tally.failed += 1;
                sends.give_back(&outcome.message);
                if *address {
                    self.customer.profile.dead.insert(flight.channel, reason.clone());
                }
                Next::Passed(Reason::ProviderFailed, Some(reason.clone()))
            }
            OutcomeResult::Suppressed { reason } => {
                sends.tally.suppressed += 1;
                sends.give_back(&outcome.message);
                match reason {
                    Suppression::OptedOut => Next::Passed(Reason::OptedOut, None),
                    Suppression::Stopped => Next::Passed(Reason::Returned, Some("sending is stopped".to_owned())),
                    Suppression::Revoked if flight.revoked => Next::Again(None),
                    // Nobody here revoked it: the gate did not know it, for instance after its store was rolled back.
                    Suppression::Revoked => Next::Again(Some(self.pause(returns))),
                }
            }
            OutcomeResult::Expired => {
                sends.tally.expired += 1;
                sends.give_back(&outcome.message);
                Next::Again(None)
            }
            OutcomeResult::Returned { reason } => {
                sends.tally.returned += 1;
                sends.give_back(&outcome.message);
                match reason {
                    Return::WindowClosed | Return::Moved => Next::Again(None),
                    Return::QueueFull | Return::ProviderAway | Return::Stopped => Next::Again(Some(self.pause(returns))),
                }
            }
        }
    }

    fn pause(&self, returns: u32) -> Timestamp {
        let pause = BACK_OFF.saturating_mul(1 << returns.min(10)).min(BACK_OFF_LIMIT);
        self.now.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// The journey goes on from its message.
    fn resume(&mut self, mut journey: Journey, message: &MessageId, next: Next) {
        let Stage::Flying { due, returns, restart, .. } = std::mem::replace(&mut journey.stage, Stage::Waiting { reached: self.now })
        else {
            return;
        };
        match (next, restart) {
            (Next::Handed, restart) => {
                journey.sends += 1;
                journey.last_message = Some(self.now);
                match restart {
                    Some(trigger) if self.campaign_of(&journey).is_some_and(|campaign| may_restart(&campaign, &journey)) => {
                        return self.begin_anew(journey, *trigger);
                    }
                    Some(_) => self.record(
                        Verdict::NotBegun,
                        Reason::UnderWay,
                        About::journey(&journey).detail("it came when the message was being handed over"),
                    ),
                    None => {}
                }
                let now = self.now;
                self.go_on(journey, now);
            }
            (Next::Passed(reason, detail), restart) => {
                let mut about = About::journey(&journey).message(message);
                about.detail = detail;
                self.record(Verdict::Skipped, reason, about);
                match restart {
                    Some(trigger) => self.begin_anew(journey, *trigger),
                    None => {
                        let now = self.now;
                        self.go_on(journey, now);
                    }
                }
            }
            (Next::Again(_), Some(trigger)) => self.begin_anew(journey, *trigger),
            (Next::Again(None), None) => match self.alive(&journey) {
                Some(campaign) => self.try_send(&campaign, journey, due, returns + 1),
                None => self.end(journey),
            },
            (Next::Again(Some(until)), None) => {
                self.record(Verdict::Held, Reason::Returned, About::journey(&journey).message(message));
                journey.stage = Stage::Holding { due, until, returns: returns + 1 };
                self.arm(&mut journey, until);
                self.customer.journeys.insert(journey.id.clone(), journey);
            }
        }
    }

    /// An exception ended the journey, and yet its message had been handed over: a regret (PROTOCOL, "in words").
    fn handed_after_end(&mut self, message: &MessageId, flight: &Flight) {
        let now = self.now;
        if let Some(ended) = self.customer.ended.values_mut().find(|ended| ended.journey == flight.journey) {
            ended.last_message = Some(now);
            ended.regretted = true;
        }
        let mut about =
            About::campaign(&flight.campaign, flight.version).message(message).detail("it was handed over before it could be held back");
        about.object = flight.object.as_ref().map(|(_, id)| id.as_str());
        self.record(Verdict::Regretted, Reason::LateException, about);
    }

    /// More is said of a message whose outcome is known: only `unknown` may turn (rule P19). Whether it was known to be sent, and
    /// whether this is news.
    fn receipt(&mut self, outcome: &Outcome) -> (bool, bool) {
        let now = self.now;
        let sends = &mut self.customer.sends;
        let Some(handed) = sends.handed.get_mut(&outcome.message) else { return (false, false) };
        let state = match &outcome.result {
            OutcomeResult::Sent => HandedState::Sent,
            OutcomeResult::Delivered => HandedState::Delivered,
            OutcomeResult::Failed { .. } => HandedState::Failed,
            _ => return (false, false),
        };
        let was = handed.state;
        if matches!(was, HandedState::Delivered | HandedState::Failed) || was == state {
            return (true, false);
        }
        handed.state = state;
        handed.at = now;
        let channel = handed.channel;
        if was == HandedState::Unknown {
            sends.tally.unknown = sends.tally.unknown.saturating_sub(1);
            match state {
                HandedState::Failed => sends.tally.failed += 1,
                _ => sends.tally.sent += 1,
            }
        }
        if let OutcomeResult::Failed { reason, address } = &outcome.result {
            sends.give_back(&outcome.message);
            if *address {
                self.customer.profile.dead.insert(channel, reason.clone());
            }
        }
        (was == HandedState::Sent, true)
    }
}
