//! What became of messages (rules P15, P18, P19, P21).

use cartwheel_engine::{
    customer::HandedState,
    decision::{Reason, Verdict},
    input::{OutcomeResult, Return, Suppression},
};
use serde_json::json;

use crate::{
    play::{Answer, Play, minutes},
    shop::Shop,
};

fn ping() -> Play {
    let campaign = "campaign: ping\nwhen: { event: Ping, each: event }\nsend: { sms: { text: { en: Pong } } }\n";
    let mut play = Play::with_customer(Shop::free().campaign(campaign).open());
    play.answer = Answer::Nothing;
    play.track("Ping", json!({}));
    play
}

fn failed() -> OutcomeResult {
    OutcomeResult::Failed { reason: "30003".to_owned(), address: false }
}

#[test]
pub(crate) fn the_first_outcome_wins_and_only_unknown_may_turn() {
    let state = |play: &Play| play.customer("user:1").sends.handed.values().next().map(|handed| handed.state);
    let tally = |play: &Play| play.customer("user:1").sends.tally;
    let mut play = ping();
    play.outcome(0, OutcomeResult::Unknown);
    assert_eq!((state(&play), tally(&play).unknown), (Some(HandedState::Unknown), 1));
    play.outcome(0, OutcomeResult::Delivered);
    assert_eq!((state(&play), tally(&play).unknown, tally(&play).sent), (Some(HandedState::Delivered), 0, 1));
    play.outcome(0, failed());
    play.outcome(0, OutcomeResult::Sent);
    assert_eq!(state(&play), Some(HandedState::Delivered));
    let mut turned = ping();
    turned.outcome(0, OutcomeResult::Unknown);
    turned.outcome(0, failed());
    assert_eq!((tally(&turned).failed, turned.customer("user:1").sends.places.len()), (1, 0));
}

#[test]
pub(crate) fn message_events_are_counted_once_each_in_whatever_order_reports_come() {
    let count = |play: &Play, name: &str| play.customer("user:1").history.count([name].into_iter(), None, play.now);
    let mut play = ping();
    for result in [OutcomeResult::Delivered, OutcomeResult::Sent, OutcomeResult::Delivered, failed()] {
        play.outcome(0, result);
    }
    assert_eq!((count(&play, "Message Sent"), count(&play, "Message Delivered"), count(&play, "Message Failed")), (1, 1, 0));
    let mut play = ping();
    for result in [OutcomeResult::Sent, OutcomeResult::Sent, OutcomeResult::Delivered] {
        play.outcome(0, result);
    }
    assert_eq!((count(&play, "Message Sent"), count(&play, "Message Delivered")), (1, 1));
}

#[test]
pub(crate) fn a_message_event_triggers_like_any_other() {
    let follow =
        "campaign: follow\nclass: transactional\nwhen: { event: Message Failed, each: event }\nsend: { sms: { text: { en: Again } } }\n";
    let mut play = ping();
    play.campaigns = Shop::free().campaign(follow).open();
    play.outcome(0, failed());
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn a_returned_message_is_decided_again_after_a_pause_that_doubles() {
    let mut play = ping();
    for (number, seconds) in [30, 60, 120, 240, 480, 900, 900].into_iter().enumerate() {
        play.outcome(number, OutcomeResult::Returned { reason: Return::ProviderAway });
        assert_eq!(play.last(Verdict::Held).reason, Reason::Returned);
        play.pass(jiff::SignedDuration::from_secs(seconds) - jiff::SignedDuration::from_millis(1));
        assert_eq!(play.sent(), number + 1);
        play.pass(jiff::SignedDuration::from_millis(1));
        assert_eq!(play.sent(), number + 2);
    }
    let customer = play.customer("user:1");
    assert_eq!((customer.sends.tally.returned, customer.sends.tally.decided, customer.sends.places.len()), (7, 8, 1));
}

#[test]
pub(crate) fn a_message_that_the_gate_did_not_know_is_decided_again() {
    let mut play = ping();
    play.outcome(0, OutcomeResult::Suppressed { reason: Suppression::Revoked });
    assert_eq!(play.sent(), 1);
    play.pass(minutes(1));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn what_stands_stopped_for_good_is_passed_over() {
    let mut play = ping();
    play.outcome(0, OutcomeResult::Suppressed { reason: Suppression::Stopped });
    assert_eq!(play.last(Verdict::Skipped).reason, Reason::Returned);
    assert_eq!(play.customer("user:1").journeys.len(), 0);
}
