//! Names of one person that meet (R45, rules P23, P24).

use cartwheel_engine::{
    decision::{Reason, Verdict},
    effect::Wanted,
    input::{Fact, OutcomeResult, Return},
};
use serde_json::json;

use crate::{
    play::{Answer, NUMBER, Play, hours, key, minutes},
    shop::{CART, Shop},
};

fn lamp(cart: &str) -> serde_json::Value {
    json!({ "cart_id": cart, "product_id": "l", "name": "Lamp", "quantity": 1 })
}

fn login(play: &mut Play) {
    play.identify(&["user:1", "anonymous:a"], Play::reachable(NUMBER));
}

fn anonymous(play: &mut Play, name: &str, properties: serde_json::Value) {
    play.track_as(&["anonymous:a"], name, play.now, properties);
}

#[test]
pub(crate) fn r45_carts_of_an_anonymous_visitor_who_logs_in_make_one_message() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(10));
    login(&mut play);
    assert_eq!(play.customer("anonymous:a").moved_to, Some(key("user:1")));
    play.track_as(&["user:1", "anonymous:a"], "Product Added", play.now, lamp("c1"));
    play.pass(minutes(29));
    assert_eq!(play.sent(), 0, "the wait began again at the user's home");
    play.pass(minutes(1));
    assert_eq!(play.texts(), ["Your cart: 2 Lamp"], "what was gathered before the login is kept");
    play.pass(hours(10));
    assert_eq!((play.sent(), play.timers.len()), (1, 0));
}

#[test]
pub(crate) fn r45_two_journeys_of_one_cart_go_on_as_one_and_the_newer_trigger_counts() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    play.identify(&["user:1"], Play::reachable(NUMBER));
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(10));
    play.track("Product Added", lamp("c1"));
    login(&mut play);
    assert_eq!(play.last(Verdict::Merged).reason, Reason::Identity);
    play.pass(minutes(29));
    assert_eq!(play.sent(), 0);
    play.pass(minutes(1));
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn r45_an_exception_at_one_name_ends_the_journey_that_began_at_another() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(10));
    play.track("Order Completed", json!({ "order_id": "o1", "cart_id": "c1" }));
    login(&mut play);
    assert_eq!(play.last(Verdict::Ended).reason, Reason::Exception);
    let mut other = Play::new(Shop::free().campaign(CART).open());
    other.track("Product Added", lamp("c1"));
    other.pass(minutes(10));
    anonymous(&mut other, "Order Completed", json!({ "order_id": "o1", "cart_id": "c1" }));
    login(&mut other);
    assert_eq!(other.last(Verdict::Ended).reason, Reason::Exception);
}

#[test]
pub(crate) fn r45_an_exception_whose_object_lies_in_a_map_ends_only_its_own() {
    let basket = "  basket: { id: basket_id, events: [Basket Touched], in: { Order Completed: basket.id } }\nquiet_hours: { promotional: none, transactional: none }\n";
    let campaign = "campaign: basket\nwhen: { event: Basket Touched }\nunless: [Order Completed]\nwait: 30m\nsend: { sms: { text: { en: Basket } } }\n";
    let mut play = Play::new(Shop::with(basket).campaign(campaign).open());
    anonymous(&mut play, "Basket Touched", json!({ "basket_id": "b1" }));
    play.pass(minutes(1));
    play.track("Order Completed", json!({ "basket": { "id": "b2" } }));
    login(&mut play);
    assert!(!play.has(Verdict::Ended, Reason::Exception), "the id in the map was remembered");
}

#[test]
pub(crate) fn r45_a_message_on_its_way_comes_back_and_is_decided_where_the_customer_lives_now() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    play.identify(&["anonymous:a"], Play::reachable(NUMBER));
    play.answer = Answer::Nothing;
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(30));
    login(&mut play);
    let entries = play.customer("anonymous:a").flight_entries(&key("anonymous:a"));
    assert_eq!(entries.values().map(|entry| entry.wanted).collect::<Vec<_>>(), [Wanted::Moved]);
    assert_eq!(play.customer("user:1").flight_entries(&key("user:1")).len(), 0, "another partition's dispatcher has it");
    play.outcome(0, OutcomeResult::Returned { reason: Return::Moved });
    assert!(play.customer("anonymous:a").moved_flights.is_empty());
    assert_eq!((play.sent(), play.messages[1].customer.clone()), (2, key("user:1")));
    play.outcome(1, OutcomeResult::Sent);
    play.pass(hours(10));
    assert_eq!((play.sent(), play.customer("user:1").journeys.len()), (2, 0));
}

#[test]
pub(crate) fn r45_what_was_handed_over_before_the_login_is_not_sent_again() {
    let mut play = Play::new(Shop::free().campaign(&CART.replace("again:  always", "again: never")).open());
    play.identify(&["anonymous:a"], Play::reachable(NUMBER));
    play.track_as(&["user:1"], "Product Added", play.now + minutes(0), lamp("c1"));
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(30));
    assert_eq!(play.sent(), 1, "the user's own home has no number yet");
    play.pass(minutes(1));
    play.track("Product Added", lamp("c2"));
    login(&mut play);
    play.pass(hours(1));
    assert_eq!(play.sent(), 2, "the other cart's");
}

#[test]
pub(crate) fn r45_a_cart_that_one_name_was_reminded_of_is_not_waited_for_by_the_other() {
    let mut play = Play::new(Shop::free().campaign(&CART.replace("again:  always", "again: never")).open());
    play.identify(&["anonymous:a"], Play::reachable(NUMBER));
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(20));
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(11));
    assert_eq!(play.sent(), 1);
    login(&mut play);
    assert_eq!(play.last(Verdict::Merged).reason, Reason::NotAgain);
    play.pass(hours(1));
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn a_newer_cart_at_one_name_holds_back_the_message_of_the_other() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    play.identify(&["anonymous:a"], Play::reachable(NUMBER));
    play.answer = Answer::Nothing;
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(30));
    play.track("Product Added", lamp("c1"));
    login(&mut play);
    play.outcome(0, OutcomeResult::Returned { reason: Return::Moved });
    assert!(play.has(Verdict::Restarted, Reason::Retriggered));
    play.answer = Answer::At(OutcomeResult::Sent);
    play.pass(hours(1));
    assert_eq!(play.sent(), 2, "once more, after the whole wait");
    assert_eq!(play.messages[1].decided, play.messages[0].decided + minutes(30));
}

#[test]
pub(crate) fn without_parallel_the_journey_that_was_there_first_goes_on() {
    let mut play = Play::new(Shop::free().campaign(&format!("{CART}parallel: false\n")).open());
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(10));
    play.track("Product Added", lamp("c2"));
    login(&mut play);
    play.pass(hours(2));
    assert_eq!(play.texts(), ["Your cart: 1 Lamp"]);
    assert_eq!(play.last(Verdict::Sent).object.as_deref(), Some("c1"));
}

#[test]
pub(crate) fn the_first_holder_of_a_name_stays_and_two_users_never_claim_each_other() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    login(&mut play);
    play.identify(&["user:2", "anonymous:a"], Play::reachable("+447700900124"));
    assert_eq!(play.customer("anonymous:a").moved_to, Some(key("user:1")));
    play.identify(&["user:2", "user:1"], Play::reachable("+447700900124"));
    assert!(play.customer("user:1").moved_to.is_none() && play.customer("user:2").moved_to.is_none());
}

#[test]
pub(crate) fn consents_and_stops_that_meet_keep_the_stricter_and_places_add_up() {
    let shop = Shop::with("quiet_hours: { promotional: none, transactional: none }\ncaps: [{ at_most: 1, per: day }]\n");
    let mut play = Play::new(shop.campaign(CART).open());
    play.identify(&["anonymous:a"], Play::reachable(NUMBER));
    anonymous(&mut play, "Product Added", lamp("c1"));
    play.pass(minutes(30));
    login(&mut play);
    play.track("Product Added", lamp("c2"));
    play.pass(minutes(30));
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (1, Reason::CapFull));
}

#[test]
pub(crate) fn a_hand_over_that_cannot_be_read_is_set_aside_and_said() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    let input = play.input(&["user:1"], Fact::HandedOver { from: key("anonymous:a"), state: vec![0xc1] });
    play.put(input);
    assert_eq!((play.last(Verdict::Ignored).reason, play.has(Verdict::Moved, Reason::Identity)), (Reason::Poison, false));
}
