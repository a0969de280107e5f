//! Frequency caps (R30).

use cartwheel_engine::{
    decision::{Reason, Verdict},
    input::{OutcomeResult, Suppression},
};
use serde_json::json;

use crate::{
    play::{Answer, Play, at, hours, minutes},
    shop::Shop,
};

const FREE: &str = "quiet_hours: { promotional: none, transactional: none }\n";

fn campaign(name: &str, change: &str) -> String {
    format!("campaign: {name}\nwhen: {{ event: {name}, each: event }}\nsend: {{ sms: {{ text: {{ en: {name} }} }} }}\n{change}")
}

fn play(caps: &str, campaigns: &[(&str, &str)]) -> Play {
    let shop =
        campaigns.iter().fold(Shop::with(&format!("{FREE}caps: {caps}\n")), |shop, (name, change)| shop.campaign(&campaign(name, change)));
    Play::with_customer(shop.open())
}

#[test]
pub(crate) fn r30_a_calendar_day_is_the_recipients_own() {
    let mut play = play("[{ at_most: 1, per: day }]", &[("a", ""), ("b", "")]);
    play.traits(json!({ "zone": "Asia/Tokyo" }));
    play.pass_until(at("2026-03-03T14:58:00Z"));
    play.track("a", json!({}));
    play.track("b", json!({}));
    let full = play.last(Verdict::Skipped);
    assert_eq!((full.reason, full.values["cap"].as_text()), (Reason::CapFull, Some("1 per day")), "over all campaigns");
    play.pass_until(at("2026-03-03T15:00:00Z"));
    play.track("b", json!({}));
    assert_eq!(play.sent(), 2, "midnight in Tokyo");
}

#[test]
pub(crate) fn r30_a_rolling_cap_has_room_again_to_the_moment() {
    let mut play = play("[{ at_most: 2, per: 24h, tag: discount }]", &[("a", "tags: [discount]\n"), ("b", "")]);
    play.track("a", json!({}));
    play.pass(hours(1));
    play.track("a", json!({}));
    play.pass(hours(23) - minutes(1));
    play.track("a", json!({}));
    play.track("b", json!({}));
    assert_eq!(play.texts(), ["a", "a", "b"], "a cap of a tag is about that tag");
    play.pass(minutes(1));
    play.track("a", json!({}));
    play.track("a", json!({}));
    assert_eq!(play.sent(), 4);
}

#[test]
pub(crate) fn r30_weeks_begin_on_monday() {
    let mut play = play("[{ at_most: 1, per: week }]", &[("a", "")]);
    play.track("a", json!({}));
    play.pass_until(at("2026-03-08T23:59:00Z"));
    play.track("a", json!({}));
    assert_eq!(play.sent(), 1);
    play.pass_until(at("2026-03-09T00:00:00Z"));
    play.track("a", json!({}));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn r30_a_deferred_message_goes_when_there_is_room_unless_it_expires() {
    let defer = "caps: { when_full: defer }\n";
    let mut room = play("[{ at_most: 1, per: 24h }]", &[("a", defer)]);
    room.track("a", json!({}));
    room.pass(hours(2));
    room.track("a", json!({}));
    assert_eq!(room.last(Verdict::Held).reason, Reason::CapFull);
    room.pass(hours(22));
    assert_eq!(room.sent(), 2);
    let mut none = play("[{ at_most: 1, per: 24h }]", &[("a", "caps: { when_full: defer }\nexpires_after: 22h\n")]);
    none.track("a", json!({}));
    none.pass(hours(2));
    none.track("a", json!({}));
    assert_eq!((none.last(Verdict::Skipped).reason, none.timers.len()), (Reason::CapFull, 0));
}

#[test]
pub(crate) fn r30_obey_and_count_are_two_switches() {
    let mut play = play(
        "[{ at_most: 1, per: day }]",
        &[("plain", ""), ("free", "caps: { obey: false, count: true }\n"), ("silent", "caps: { obey: true, count: false }\n")],
    );
    play.track("silent", json!({}));
    play.track("silent", json!({}));
    assert_eq!(play.sent(), 2, "takes no place");
    play.track("free", json!({}));
    play.track("free", json!({}));
    assert_eq!(play.sent(), 4, "asks for no place, but takes one");
    play.track("plain", json!({}));
    play.track("silent", json!({}));
    assert_eq!(play.sent(), 4);
}

#[test]
pub(crate) fn r30_transactional_messages_neither_obey_nor_count() {
    let mut play = play("[{ at_most: 1, per: day }]", &[("receipt", "class: transactional\n"), ("offer", "")]);
    for name in ["receipt", "receipt", "offer", "offer"] {
        play.track(name, json!({}));
    }
    assert_eq!(play.texts(), ["receipt", "receipt", "offer"]);
}

#[test]
pub(crate) fn r30_a_refused_or_failed_message_gives_its_place_back_also_when_that_is_known_late() {
    let failed = OutcomeResult::Failed { reason: "30005".to_owned(), address: false };
    for back in [failed.clone(), OutcomeResult::Suppressed { reason: Suppression::Stopped }] {
        let mut play = play("[{ at_most: 1, per: day }]", &[("a", "")]);
        play.answer = Answer::At(back);
        play.track("a", json!({}));
        play.track("a", json!({}));
        assert_eq!(play.sent(), 2);
    }
    let mut play = play("[{ at_most: 1, per: day }]", &[("a", "")]);
    play.track("a", json!({}));
    play.outcome(0, failed);
    play.track("a", json!({}));
    assert_eq!(play.sent(), 2, "a receipt that says it did not arrive");
}

#[test]
pub(crate) fn r30_a_message_takes_its_place_on_the_day_of_its_hand_over() {
    let mut play = play("[{ at_most: 1, per: day }]", &[("a", "")]);
    play.answer = Answer::Nothing;
    play.pass_until(at("2026-03-03T23:59:59Z"));
    play.track("a", json!({}));
    play.pass_until(at("2026-03-04T00:00:05Z"));
    play.track("a", json!({}));
    assert_eq!(play.sent(), 1, "the first one may be handed over today");
    play.outcome(0, OutcomeResult::Sent);
    play.pass(hours(20));
    play.track("a", json!({}));
    assert_eq!(play.sent(), 1);
}
