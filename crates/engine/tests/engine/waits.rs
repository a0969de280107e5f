//! Waits, sessions and firings (R05, R25, R27).

use cartwheel_engine::{
    decision::{Reason, Verdict},
    input::{Fact, Identified, Input},
};
use serde_json::json;

use crate::{
    play::{Play, at, hours, minutes, properties},
    shop::{CART, Shop},
};

fn with(wait: &str) -> Play {
    let campaign = format!(
        "campaign: wait\nwhen: {{ event: Ping, each: event }}\nwait: {wait}\nsend: {{ sms: {{ text: {{ en: Pong }} }} }}\nexpires_after: 14d\n"
    );
    Play::with_customer(Shop::free().campaign(&campaign).open())
}

/// When the message of a `Ping` at this moment was decided, in a zone.
fn decided(wait: &str, zone: &str, ping: &str) -> String {
    let mut play = with(wait);
    play.traits(json!({ "zone": zone }));
    play.pass_until(at(ping));
    play.track("Ping", json!({}));
    play.pass(hours(24 * 12));
    assert_eq!(play.sent(), 1, "{wait} from {ping}");
    play.messages[0].decided.to_string()
}

#[test]
pub(crate) fn r25_without_a_wait_at_once() {
    let mut play = Play::with_customer(
        Shop::free().campaign("campaign: now\nwhen: { event: Ping, each: event }\nsend: { sms: { text: { en: Pong } } }\n").open(),
    );
    play.track("Ping", json!({}));
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn r25_a_wait_to_a_time_of_day_ends_at_the_first_one_where_the_customer_lives() {
    let five_days = "{ for: 5d, at: \"18:00\" }";
    assert_eq!(decided(five_days, "Europe/London", "2026-03-10T17:59:00Z"), "2026-03-15T18:00:00Z");
    assert_eq!(decided(five_days, "Europe/London", "2026-03-10T18:00:00Z"), "2026-03-15T18:00:00Z", "at counts as at or after");
    assert_eq!(decided(five_days, "Europe/London", "2026-03-10T18:00:01Z"), "2026-03-16T18:00:00Z");
    assert_eq!(decided(five_days, "Europe/London", "2026-03-25T12:00:00Z"), "2026-03-30T17:00:00Z", "summer time has begun");
    assert_eq!(decided("{ until: \"18:00\" }", "Asia/Tokyo", "2026-03-10T08:59:00Z"), "2026-03-10T09:00:00Z");
    assert_eq!(decided("{ until: \"18:00\" }", "Asia/Tokyo", "2026-03-10T09:00:01Z"), "2026-03-11T09:00:00Z");
    assert_eq!(decided("{ until: \"01:30\" }", "Europe/London", "2026-03-28T23:00:00Z"), "2026-03-29T01:00:00Z", "01:30 is skipped");
}

#[test]
pub(crate) fn r25_a_changed_zone_moves_a_wait_when_it_fires() {
    let mut play = with("{ until: \"18:00\" }");
    play.track("Ping", json!({}));
    play.traits(json!({ "zone": "America/New_York" }));
    play.pass_until(at("2026-03-02T22:59:00Z"));
    assert_eq!(play.sent(), 0);
    play.pass(minutes(1));
    assert_eq!(play.sent(), 1, "18:00 in New York");
}

#[test]
pub(crate) fn r05_silence_is_measured_from_the_last_event_of_any_kind() {
    let mut play = with("{ until: 30m of silence }");
    play.track("Ping", json!({}));
    for _ in 0..5 {
        play.pass(minutes(29));
        play.track("Page Viewed", json!({}));
    }
    let armed = play.timers.len();
    play.pass(minutes(30) - jiff::SignedDuration::from_millis(1));
    assert_eq!((play.sent(), armed), (0, 1), "an event costs no timer");
    play.pass(jiff::SignedDuration::from_millis(1));
    assert_eq!(play.sent(), 1);
}

const LEFT: &str = "campaign: left\nwhen: { event: Session Ended, each: event }\nsend: { sms: { text: { en: Left } } }\n";
const CAME: &str = "campaign: came\nwhen: { event: Session Started, each: event }\nsend: { sms: { text: { en: Came } } }\n";

#[test]
pub(crate) fn r05_a_session_ends_by_a_gap_of_silence_or_by_its_event_and_the_next_event_begins_another() {
    let shop = Shop::with(
        "quiet_hours: { promotional: none, transactional: none }\ncaps: [{ at_most: 1000, per: day }]\nsession: { gap: 30m, ends_on: [Signed Out] }\n",
    );
    let mut play = Play::with_customer(shop.campaign(LEFT).campaign(CAME).open());
    play.track("Page Viewed", json!({}));
    assert_eq!(play.texts(), ["Came"]);
    play.pass(minutes(29));
    play.track("Page Viewed", json!({}));
    play.pass(minutes(30) - jiff::SignedDuration::from_millis(1));
    assert_eq!(play.sent(), 1);
    play.pass(jiff::SignedDuration::from_millis(1));
    assert_eq!(play.texts(), ["Came", "Left"]);
    play.pass(hours(5));
    assert_eq!(play.sent(), 2);
    play.track("Page Viewed", json!({}));
    play.track("Signed Out", json!({}));
    assert_eq!(play.texts(), ["Came", "Left", "Came", "Left"]);
    play.pass(hours(5));
    assert_eq!((play.sent(), play.timers.len()), (4, 0));
}

#[test]
pub(crate) fn r05_a_campaign_that_comes_during_a_session_hears_its_end() {
    let mut play = Play::with_customer(Shop::free().campaign(CAME).open());
    play.track("Page Viewed", json!({}));
    play.campaigns = Shop::free().campaign(CAME).campaign(LEFT).open();
    play.pass(minutes(1));
    play.track("Page Viewed", json!({}));
    play.pass(minutes(30));
    assert_eq!(play.texts(), ["Came", "Left"]);
}

#[test]
pub(crate) fn a_firing_that_comes_twice_or_of_an_earlier_arming_does_nothing() {
    let mut play = Play::with_customer(Shop::free().campaign(CART).open());
    play.track("Product Added", json!({ "cart_id": "c1", "name": "Lamp", "quantity": 1 }));
    let (due, timer, home) = play.timers.first().cloned().unwrap();
    play.pass(minutes(30));
    let before = play.customer("user:1").clone();
    let fact = Fact::TimerFired { timer, due };
    play.put(Input { key: home, id: "again".to_owned(), received: play.now, names: vec![], fact });
    assert_eq!((play.sent(), &before == play.customer("user:1")), (1, true));
}

#[test]
pub(crate) fn a_firing_far_ahead_of_the_log_is_armed_again_after_a_pause() {
    let session = Shop::free().campaign(CART).campaign(LEFT);
    let mut play = Play::with_customer(session.open());
    play.track("Product Added", json!({ "cart_id": "c1", "name": "Lamp", "quantity": 1 }));
    let began = play.now;
    for (due, timer, home) in std::mem::take(&mut play.timers) {
        let fact = Fact::TimerFired { timer: timer.clone(), due };
        play.put(Input { key: home, id: timer.to_string(), received: play.now, names: vec![], fact });
    }
    assert!(play.has(Verdict::Held, Reason::ClocksDisagree) && play.sent() == 0);
    assert_eq!(play.timers.len(), 2);
    assert!(play.timers.iter().all(|(due, ..)| *due == began + minutes(35)), "a pause keeps two clocks from a hot loop");
    play.pass(minutes(35));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn r27_the_audience_is_checked_at_entry_and_again_before_the_send() {
    let mut play = Play::with_customer(Shop::free().campaign(&format!("{CART}audience: \"customer.level == 'gold'\"\n")).open());
    play.track("Product Added", json!({ "cart_id": "c1", "name": "Lamp", "quantity": 1 }));
    let refused = play.last(Verdict::NotBegun);
    assert_eq!((refused.reason, refused.detail.as_deref()), (Reason::NotInAudience, Some("`customer.level` is missing")));
    play.traits(json!({ "level": "gold" }));
    play.track("Product Added", json!({ "cart_id": "c1", "name": "Lamp", "quantity": 1 }));
    play.pass(minutes(29));
    play.traits(json!({ "level": "silver" }));
    play.pass(minutes(1));
    assert_eq!((play.sent(), play.last(Verdict::Ended).reason), (0, Reason::NoLongerInAudience));
}

#[test]
pub(crate) fn attributes_and_addresses_that_are_reported_late_do_not_overwrite_newer_ones() {
    let mut play = Play::with_customer(Shop::free().campaign(CART).open());
    let late = Identified {
        occurred: Some(play.now - hours(1)),
        traits: properties(json!({ "level": "old", "shoe": 43 })),
        ..Play::reachable("+447700900999")
    };
    play.traits(json!({ "level": "new" }));
    play.identify(&["user:1"], late);
    let profile = &play.customer("user:1").profile;
    assert_eq!((profile.text("level"), profile.attributes.len()), (Some("new"), 2));
    assert_eq!(profile.addresses.values().next().unwrap().value, crate::play::NUMBER);
}
