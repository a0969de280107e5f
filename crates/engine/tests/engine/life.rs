//! A campaign's life, windows, expiry (R27, R28, R29, R32).

use cartwheel_engine::{
    campaigns::CampaignState,
    decision::{Reason, Verdict},
    input::{OutcomeResult, Return},
};
use cartwheel_language::Value;
use serde_json::json;

use crate::{
    play::{Answer, Play, at, hours, minutes},
    shop::{CART, Shop},
};

const PING: &str = "campaign: ping\nwhen: { event: Ping, each: event }\nsend: { sms: { text: { en: Pong } } }\n";

fn ping(change: &str) -> Play {
    Play::with_customer(Shop::free().campaign(&format!("{PING}{change}")).open())
}

fn lamp() -> serde_json::Value {
    json!({ "cart_id": "c1", "name": "Lamp", "quantity": 1 })
}

#[test]
pub(crate) fn r28_events_before_the_start_never_qualify_and_nothing_is_sent_from_the_end_on() {
    let mut play = ping("wait: 1h\nruns: { from: \"2026-03-03 09:00\", to: \"2026-03-04 09:00\" }\n");
    let (from, to) = (at("2026-03-03T09:00:00Z"), at("2026-03-04T09:00:00Z"));
    play.pass_until(from);
    play.track_as(&["user:1"], "Ping", from - minutes(1), json!({}));
    assert_eq!(play.said(), [(Verdict::NotBegun, Reason::BeforeStart)], "by the time that it happened");
    play.track_as(&["user:1"], "Ping", from, json!({}));
    assert_eq!(play.said(), [(Verdict::Began, Reason::Planned)]);
    play.pass_until(to - hours(1) - jiff::SignedDuration::from_secs(1));
    play.track("Ping", json!({}));
    play.pass_until(to - hours(1));
    play.track("Ping", json!({}));
    play.pass_until(to);
    assert_eq!((play.sent(), play.last(Verdict::Ended).reason), (2, Reason::AfterEnd));
    assert!(play.messages.iter().all(|message| message.not_after <= to), "also not by the dispatcher");
    play.track("Ping", json!({}));
    assert_eq!(play.decisions.last().unwrap().reason, Reason::AfterEnd);
}

#[test]
pub(crate) fn r28_without_a_start_events_before_the_campaign_was_applied_do_not_qualify() {
    let mut play = ping("ignore_older_than: 30d\n");
    play.track_as(&["user:1"], "Ping", at("2026-02-28T23:59:59Z"), json!({}));
    play.track_as(&["user:1"], "Ping", at("2026-03-01T00:00:00Z"), json!({}));
    assert_eq!((play.decisions[0].reason, play.sent()), (Reason::BeforeStart, 1));
}

#[test]
pub(crate) fn r29_outside_the_window_a_message_waits_for_its_opening_where_the_customer_lives() {
    let window = "window: { open: \"09:00\", close: \"21:00\" }\n";
    for (zone, source, ping_at, sent_at) in [
        (json!("Asia/Tokyo"), "profile", "2026-03-03T11:59:59Z", "2026-03-03T11:59:59Z"),
        (json!("Asia/Tokyo"), "profile", "2026-03-03T12:00:00Z", "2026-03-04T00:00:00Z"),
        (json!("Asia/Tokyo"), "profile", "2026-03-02T23:59:59Z", "2026-03-03T00:00:00Z"),
        (json!(null), "number", "2026-03-03T21:30:00Z", "2026-03-04T09:00:00Z"),
        (json!(null), "number", "2026-03-28T23:00:00Z", "2026-03-29T08:00:00Z"),
    ] {
        let mut play = ping(window);
        play.identify(&["user:1"], Play::reachable("+442079460123"));
        play.traits(json!({ "zone": zone }));
        play.pass_until(at(ping_at));
        play.track("Ping", json!({}));
        play.pass(hours(20));
        assert_eq!(play.messages[0].decided, at(sent_at), "{zone} {ping_at}");
        assert_eq!(play.last(Verdict::Sent).values["zone_source"], Value::from(source));
    }
}

#[test]
pub(crate) fn r29_the_shops_zone_is_the_last_resort_and_drop_does_not_wait() {
    let mut play = ping("window: { open: \"09:00\", close: \"21:00\", outside: drop }\n");
    play.identify(&["user:1"], Play::reachable("+12025550123"));
    play.pass_until(at("2026-03-03T21:00:00Z"));
    play.track("Ping", json!({}));
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (0, Reason::OutsideWindow));
    assert_eq!(play.last(Verdict::Skipped).values["zone_source"], Value::from("shop"), "the United States have several zones");
}

#[test]
pub(crate) fn r29_quiet_hours_hold_promotional_messages_and_let_transactional_ones_through() {
    let shop = Shop::with(
        "caps: [{ at_most: 1000, per: day }]\nquiet_hours: { promotional: { from: \"21:00\", to: \"09:00\" }, transactional: none }\n",
    );
    let urgent = PING.replace("campaign: ping", "campaign: urgent\nclass: transactional");
    let mut play = Play::with_customer(shop.campaign(PING).campaign(&urgent).open());
    play.pass_until(at("2026-03-02T23:00:00Z"));
    play.track("Ping", json!({}));
    assert_eq!(play.messages.iter().map(|message| message.campaign.as_str()).collect::<Vec<_>>(), ["urgent"]);
    play.pass_until(at("2026-03-03T09:00:00Z"));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn r29_a_message_that_comes_back_at_the_windows_close_waits_for_the_next_opening() {
    let mut play = ping("window: { open: \"09:00\", close: \"21:00\" }\n");
    play.answer = Answer::Nothing;
    play.pass_until(at("2026-03-02T20:59:00Z"));
    play.track("Ping", json!({}));
    let entries = play.customer("user:1").flight_entries(&crate::play::key("user:1"));
    assert_eq!(entries.values().next().unwrap().until, at("2026-03-02T21:00:00Z"), "the gate knows when it closes");
    play.pass(minutes(1));
    play.outcome(0, OutcomeResult::Returned { reason: Return::WindowClosed });
    assert_eq!(play.sent(), 1);
    play.pass_until(at("2026-03-03T09:00:00Z"));
    assert_eq!((play.sent(), play.messages[1].round), (2, 2));
}

#[test]
pub(crate) fn r32_a_message_not_handed_over_in_time_is_dropped_and_never_sent_late() {
    let mut play = ping("expires_after: 2h\nwindow: { open: \"09:00\", close: \"21:00\" }\n");
    play.pass_until(at("2026-03-03T07:00:00Z"));
    play.track("Ping", json!({}));
    assert!(play.has(Verdict::Skipped, Reason::Expired), "the window opens when it has just expired");
    play.pass_until(at("2026-03-03T07:00:01Z"));
    play.track("Ping", json!({}));
    play.pass(hours(5));
    assert_eq!(play.sent(), 1);
    assert_eq!(play.messages[0].not_after, at("2026-03-03T09:00:01Z"));
}

#[test]
pub(crate) fn r32_expiry_counts_from_when_the_wait_was_over_however_late_the_timer_came() {
    let mut play = Play::with_customer(Shop::free().campaign(&format!("{CART}expires_after: 1h\n")).open());
    for (late, sent) in [(minutes(60), 0), (minutes(59), 1)] {
        play.track("Product Added", lamp());
        play.now += minutes(30) + late;
        play.pass(minutes(0));
        assert_eq!(play.sent(), sent, "{late}");
    }
    assert!(play.has(Verdict::Skipped, Reason::Expired));
}

#[test]
pub(crate) fn r32_a_longer_life_takes_new_rounds() {
    let mut play = ping("expires_after: 3d\n");
    play.answer = Answer::Nothing;
    play.track("Ping", json!({}));
    for round in 0..2 {
        assert_eq!(play.messages[round].not_after, play.now + hours(24));
        play.pass(hours(24));
        play.outcome(round, OutcomeResult::Expired);
    }
    play.pass(hours(24));
    play.outcome(2, OutcomeResult::Expired);
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (3, Reason::Expired));
    assert_eq!(play.customer("user:1").journeys.len(), 0);
}

#[test]
pub(crate) fn a_paused_campaign_begins_nothing_holds_what_is_due_and_sends_it_after_the_resume() {
    let shop = Shop::free().campaign(CART);
    let mut play = Play::with_customer(shop.open());
    play.track("Product Added", lamp());
    play.campaigns = shop.open_as(2, |_| CampaignState::Paused, |_| {});
    play.pass(minutes(45));
    assert_eq!((play.sent(), play.last(Verdict::Held).reason), (0, Reason::Paused));
    play.track("Product Added", json!({ "cart_id": "c2" }));
    assert_eq!(play.last(Verdict::NotBegun).reason, Reason::Paused);
    play.campaigns = shop.open();
    play.pass(minutes(10));
    assert_eq!(play.sent(), 1, "nobody enters later for what happened while it was paused");
    play.track("Product Added", lamp());
    play.campaigns = shop.open_as(2, |_| CampaignState::Paused, |_| {});
    play.pass(hours(25));
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (1, Reason::Expired), "what is held expires");
}

#[test]
pub(crate) fn an_archived_or_vanished_campaign_ends_its_journeys() {
    let shop = Shop::free().campaign(CART);
    for (after, reason) in
        [(shop.open_as(2, |_| CampaignState::Archived, |_| {}), Reason::Archived), (Shop::free().open(), Reason::CampaignGone)]
    {
        let mut play = Play::with_customer(shop.open());
        play.track("Product Added", lamp());
        play.campaigns = after;
        play.pass(minutes(30));
        assert_eq!((play.sent(), play.last(Verdict::Ended).reason), (0, reason));
    }
}

#[test]
pub(crate) fn r27_a_sends_own_condition_is_looked_at_when_it_is_reached_and_before_each_hand_over() {
    let gold = || "customer.level == 'gold'".to_owned();
    let condition = cartwheel_language::condition::Condition::parse(&gold()).unwrap();
    let campaigns = Shop::free().campaign(CART).open_as(
        1,
        |_| CampaignState::Active,
        |campaign| campaign.steps.last_mut().unwrap().condition = Some(condition.clone()),
    );
    let mut play = Play::with_customer(campaigns);
    play.answer = Answer::Nothing;
    play.track("Product Added", lamp());
    play.pass(minutes(30));
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (0, Reason::ConditionNotTrue));
    play.traits(json!({ "level": "gold" }));
    play.track("Product Added", lamp());
    play.pass(minutes(30));
    play.traits(json!({ "level": "tin" }));
    play.outcome(0, OutcomeResult::Returned { reason: Return::Stopped });
    play.pass(minutes(1));
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (1, Reason::ConditionNotTrue));
}
