//! Abandoned carts, and the exceptions that end journeys (R01, R02, R04, R26, R33, R35, R36).

use cartwheel_engine::{
    decision::{Reason, Verdict},
    input::{OutcomeResult, Suppression},
};
use serde_json::json;

use crate::{
    play::{Answer, Play, hours, minutes},
    shop::{CART, Shop},
};

fn cart() -> Play {
    Play::with_customer(Shop::free().campaign(CART).open())
}

fn with(change: &str) -> Play {
    Play::with_customer(Shop::free().campaign(&format!("{CART}{change}")).open())
}

fn lamp(cart: &str) -> serde_json::Value {
    json!({ "cart_id": cart, "product_id": "l", "name": "Lamp", "price": 30, "quantity": 1 })
}

fn order(cart: &str) -> serde_json::Value {
    json!({ "order_id": format!("o-{cart}"), "cart_id": cart, "total": 30, "currency": "GBP" })
}

#[test]
pub(crate) fn r04_a_cart_left_alone_for_the_wait_makes_one_message_with_what_is_in_it() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.track("Product Added", json!({ "cart_id": "c1", "product_id": "v", "name": "Vase", "price": 5, "quantity": 2 }));
    play.pass(minutes(30) - jiff::SignedDuration::from_millis(1));
    assert_eq!(play.sent(), 0, "not a moment before");
    play.pass(jiff::SignedDuration::from_millis(1));
    assert_eq!(play.texts(), ["Your cart: 1 Lamp 2 Vase"]);
    play.pass(hours(100));
    assert_eq!(play.sent(), 1);
    assert_eq!(play.timers.len(), 0, "no timer is left behind");
}

#[test]
pub(crate) fn r04_the_message_lists_what_is_in_the_cart_at_send_time() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.track("Product Added", json!({ "cart_id": "c1", "product_id": "v", "name": "Vase", "price": 5, "quantity": 2 }));
    play.track("Product Removed", json!({ "cart_id": "c1", "product_id": "l", "quantity": 1 }));
    play.track("Product Removed", json!({ "cart_id": "c1", "product_id": "v", "quantity": 1 }));
    play.pass(minutes(30));
    assert_eq!(play.texts(), ["Your cart: 1 Vase"]);
}

#[test]
pub(crate) fn r04_adding_again_restarts_the_wait() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(29));
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(29));
    assert_eq!(play.sent(), 0);
    play.pass(minutes(1));
    assert_eq!(play.texts(), ["Your cart: 2 Lamp"]);
    assert!(play.has(Verdict::Restarted, Reason::Retriggered));
}

#[test]
pub(crate) fn r04_abandoned_cart_is_cancelled_by_a_purchase() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(29));
    play.track("Order Completed", order("c1"));
    assert_eq!(play.last(Verdict::Ended).reason, Reason::Exception, "at event time, not when the wait is over");
    play.pass(hours(100));
    assert_eq!(play.sent(), 0);
}

#[test]
pub(crate) fn r04_another_carts_purchase_does_not_cancel() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.track("Order Completed", order("c2"));
    play.pass(minutes(30));
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn r04_a_purchase_that_names_no_cart_ends_all_of_them() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.track("Product Added", lamp("c2"));
    play.track("Order Completed", json!({ "order_id": "o1" }));
    play.pass(hours(1));
    assert_eq!(play.sent(), 0, "a missed sale is cheaper than reminding a buyer");
}

#[test]
pub(crate) fn r04_two_carts_are_two_journeys_each_with_its_own_content() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(5));
    play.track("Product Added", json!({ "cart_id": "c2", "product_id": "v", "name": "Vase", "quantity": 1 }));
    play.pass(hours(1));
    assert_eq!(play.texts(), ["Your cart: 1 Lamp", "Your cart: 1 Vase"]);
}

#[test]
pub(crate) fn r04_a_cart_without_its_id_begins_nothing_and_says_so() {
    let mut play = cart();
    for id in [json!(null), json!(""), json!({ "nested": 1 }), json!("x".repeat(201))] {
        play.track("Product Added", json!({ "cart_id": id, "name": "Lamp" }));
        assert_eq!(play.said(), [(Verdict::NotBegun, Reason::ObjectMissing)]);
    }
    play.track("Product Added", json!({ "cart_id": 7, "product_id": "l", "name": "Lamp", "quantity": 1 }));
    play.track("Order Completed", json!({ "cart_id": "7" }));
    assert_eq!(play.last(Verdict::Ended).reason, Reason::Exception, "an id is the same as number and as text");
}

#[test]
pub(crate) fn r02_a_trigger_begins_only_where_its_condition_on_the_event_is_true() {
    let campaign = r#"
campaign: big
when: { event: Order Completed, where: "event.total > 100", each: order }
send: { sms: { text: { en: "Thank you" } } }
"#;
    let mut play = Play::with_customer(Shop::free().campaign(campaign).open());
    for (total, begun) in [(json!(99.99), false), (json!(100), false), (json!(100.01), true), (json!("much"), false), (json!(null), false)]
    {
        play.track("Order Completed", json!({ "order_id": format!("o{total}"), "total": total }));
        assert_eq!(
            play.said()[0],
            if begun { (Verdict::Began, Reason::Planned) } else { (Verdict::NotBegun, Reason::WhereNotTrue) },
            "{total}"
        );
    }
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn r26_after_an_exception_with_nothing_sent_the_customer_is_as_new() {
    let mut play = Play::with_customer(Shop::free().campaign(&CART.replace("again:  always", "again: never")).open());
    play.track("Product Added", lamp("c1"));
    play.track("Order Completed", order("c1"));
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    assert_eq!(play.sent(), 1, "`again: never` does not count what was ended by an exception");
    play.track("Product Added", lamp("c1"));
    assert_eq!(play.decisions.last().unwrap().reason, Reason::NotAgain);
}

#[test]
pub(crate) fn r26_an_exception_holds_back_what_is_on_its_way_and_the_customer_is_as_new() {
    let mut play = Play::with_customer(Shop::free().campaign(&CART.replace("again:  always", "again: never")).open());
    play.answer = Answer::Nothing;
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    play.track("Order Completed", order("c1"));
    let customer = play.customer("user:1");
    assert!(customer.sends.flights.values().all(|flight| flight.revoked));
    play.outcome(0, OutcomeResult::Suppressed { reason: Suppression::Revoked });
    assert!(!play.has(Verdict::Regretted, Reason::LateException));
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    assert_eq!(play.sent(), 2, "the first one reached nobody");
}

#[test]
pub(crate) fn r26_an_exception_that_comes_while_the_message_is_being_handed_over_is_a_regret() {
    let mut play = cart();
    play.answer = Answer::Nothing;
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    play.track("Order Completed", order("c1"));
    play.outcome(0, OutcomeResult::Sent);
    let regret = play.last(Verdict::Regretted);
    assert_eq!((regret.object.as_deref(), regret.version, regret.message.is_some()), (Some("c1"), Some(1), true));
    play.pass(hours(10));
    assert_eq!(play.sent(), 1);
}

const BOTH: &str = r#"
campaign: both
when:   { event: Product Added, where: "event.price >= 10", each: cart }
unless: [Product Added, Order Completed]
wait:   30m
again:  always
send:   { sms: { text: { en: "Cart" } } }
"#;

#[test]
pub(crate) fn r26_an_event_that_is_trigger_and_exception_restarts_the_wait_only_if_it_is_a_trigger() {
    let mut play = Play::with_customer(Shop::free().campaign(BOTH).open());
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(20));
    play.track("Product Added", lamp("c1"));
    assert!(play.has(Verdict::Restarted, Reason::Retriggered) && !play.has(Verdict::Ended, Reason::Exception));
    play.track("Product Added", json!({ "cart_id": "c1", "name": "Sticker", "price": 1 }));
    assert!(play.has(Verdict::Ended, Reason::Exception), "what does not trigger is an exception like any other");
    play.pass(hours(1));
    assert_eq!(play.sent(), 0);
}

#[test]
pub(crate) fn r26_an_exceptions_condition_sees_the_exception_and_what_began_the_journey() {
    let campaign =
        CART.replace("unless: [Order Completed]", "unless: [{ event: Order Completed, where: \"event.total >= trigger.price\" }]");
    let mut play = Play::with_customer(Shop::free().campaign(&campaign).open());
    play.track("Product Added", lamp("c1"));
    play.track("Order Completed", json!({ "cart_id": "c1", "order_id": "o1", "total": 29 }));
    assert!(!play.has(Verdict::Ended, Reason::Exception));
    play.track("Order Completed", json!({ "cart_id": "c1", "order_id": "o2", "total": 30 }));
    assert!(play.has(Verdict::Ended, Reason::Exception));
}

#[test]
pub(crate) fn r33_restarts_never_leaves_the_wait_and_always_sends_again() {
    let mut play = with("restarts: never\n");
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(20));
    play.track("Product Added", lamp("c1"));
    assert!(play.has(Verdict::NotBegun, Reason::UnderWay));
    play.pass(minutes(10));
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn r33_a_trigger_while_the_message_is_on_its_way_holds_it_back_and_waits_anew() {
    let mut play = cart();
    play.answer = Answer::Nothing;
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    play.track("Product Added", lamp("c1"));
    assert!(play.customer("user:1").sends.flights.values().all(|flight| flight.revoked));
    play.outcome(0, OutcomeResult::Suppressed { reason: Suppression::Revoked });
    assert!(play.has(Verdict::Restarted, Reason::Retriggered));
    play.pass(minutes(30));
    assert_eq!(play.texts(), ["Your cart: 1 Lamp", "Your cart: 2 Lamp"]);
    play.track("Product Added", lamp("c1"));
    play.outcome(1, OutcomeResult::Sent);
    assert!(play.has(Verdict::NotBegun, Reason::UnderWay), "handed over after all: the trigger came too late, and the decision says so");
    play.pass(hours(2));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn r33_restarts_always_begins_anew_even_if_the_message_was_handed_over() {
    let mut play = with("restarts: always\n");
    play.answer = Answer::Nothing;
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    play.track("Product Added", lamp("c1"));
    play.outcome(0, OutcomeResult::Sent);
    play.pass(minutes(30));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn r35_an_exception_that_happened_before_a_waiting_restart_does_not_end_it() {
    let mut play = cart();
    play.answer = Answer::Nothing;
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    let between = play.now + minutes(1);
    play.pass(minutes(2));
    play.track("Product Added", lamp("c1"));
    play.track_as(&["user:1"], "Order Completed", between, order("c1"));
    assert!(!play.has(Verdict::Ended, Reason::Exception));
    play.outcome(0, OutcomeResult::Suppressed { reason: Suppression::Revoked });
    play.pass(minutes(30));
    assert_eq!(play.sent(), 2);
}

#[test]
pub(crate) fn r33_again_after_a_duration_counts_from_the_last_message() {
    let mut play = Play::with_customer(Shop::free().campaign(&CART.replace("again:  always", "again: 3d")).open());
    play.track("Product Added", lamp("c1"));
    play.pass(minutes(30));
    play.pass(hours(72) - minutes(1));
    play.track("Product Added", lamp("c1"));
    assert_eq!(play.decisions.last().unwrap().reason, Reason::NotAgain);
    play.pass(minutes(1));
    play.track("Product Added", lamp("c1"));
    assert_eq!(play.decisions.last().unwrap().verdict, Verdict::Began);
    play.track("Product Added", lamp("c2"));
    assert_eq!(play.decisions.last().unwrap().verdict, Verdict::Began, "another cart has its own count");
}

#[test]
pub(crate) fn r33_without_parallel_one_object_at_a_time() {
    let mut play = with("parallel: false\n");
    play.track("Product Added", lamp("c1"));
    play.track("Product Added", lamp("c2"));
    assert!(play.has(Verdict::NotBegun, Reason::NotParallel));
    play.track("Order Completed", order("c1"));
    play.track("Product Added", lamp("c2"));
    play.pass(minutes(30));
    assert_eq!(play.sent(), 1);
}

#[test]
pub(crate) fn r35_events_of_any_age_update_state_but_older_ones_than_the_bound_begin_nothing() {
    let mut play = cart();
    let bound = play.now - hours(72);
    play.track_as(&["user:1"], "Product Added", bound - jiff::SignedDuration::from_millis(1), lamp("c1"));
    assert_eq!(play.said(), [(Verdict::NotBegun, Reason::TooOld)]);
    play.pass(hours(72));
    let bound = play.now - hours(72);
    play.track_as(&["user:1"], "Product Added", bound - jiff::SignedDuration::from_millis(1), lamp("c1"));
    assert_eq!(play.said(), [(Verdict::NotBegun, Reason::TooOld)]);
    assert_eq!(play.customer("user:1").carts.get("c1").unwrap().products.len(), 1);
    play.track_as(&["user:1"], "Product Added", bound, lamp("c1"));
    assert_eq!(play.said(), [(Verdict::Began, Reason::Planned)]);
}

#[test]
pub(crate) fn r35_a_late_trigger_whose_exception_came_first_begins_nothing() {
    let mut play = cart();
    let (added, bought) = (play.now, play.now + minutes(5));
    play.pass(minutes(10));
    play.track_as(&["user:1"], "Order Completed", bought, order("c1"));
    play.track_as(&["user:1"], "Product Added", added, lamp("c1"));
    assert_eq!(play.last(Verdict::NotBegun).reason, Reason::Exception);
    play.track_as(&["user:1"], "Product Added", added, lamp("c2"));
    assert_eq!(play.decisions.last().unwrap().verdict, Verdict::Began, "another cart was not bought");
}

#[test]
pub(crate) fn r35_a_late_exception_cancels_what_is_unsent_and_regrets_what_was_sent() {
    let mut play = cart();
    play.track("Product Added", lamp("c1"));
    let bought = play.now + minutes(5);
    play.pass(minutes(20));
    play.track_as(&["user:1"], "Order Completed", bought, order("c1"));
    assert!(play.has(Verdict::Ended, Reason::Exception));
    play.track("Product Added", lamp("c2"));
    let (bought, sent) = (play.now + minutes(5), play.now + minutes(30));
    play.pass(minutes(40));
    play.track_as(&["user:1"], "Order Completed", sent, order("c2"));
    assert!(!play.has(Verdict::Regretted, Reason::LateException), "bought after the message: that is what it was for");
    play.track_as(&["user:1"], "Order Completed", bought, order("c2"));
    assert_eq!(play.last(Verdict::Regretted).object.as_deref(), Some("c2"));
    let count = play.decisions.len();
    play.track_as(&["user:1"], "Order Completed", bought, order("c2"));
    assert_eq!(play.decisions.len(), count, "regretted once");
}

#[test]
pub(crate) fn r35_an_exception_before_the_trigger_does_not_end_the_journey() {
    let mut play = cart();
    let before = play.now - minutes(1);
    play.track("Product Added", lamp("c1"));
    play.track_as(&["user:1"], "Order Completed", before, order("c1"));
    play.pass(minutes(30));
    assert!(play.has(Verdict::Began, Reason::Planned) && !play.has(Verdict::Ended, Reason::Exception));
}

#[test]
pub(crate) fn r36_the_same_event_counts_once_within_seven_days() {
    let campaign = "campaign: each\nwhen: { event: Ping, each: event }\nsend: { sms: { text: { en: Pong } } }\n";
    let mut play = Play::with_customer(Shop::free().campaign(campaign).open());
    let input = play.input(&["user:1"], Play::event("Ping", play.now, json!({})));
    play.put(input.clone());
    play.pass(hours(7 * 24));
    play.put(input.clone());
    assert_eq!((play.sent(), play.customer("user:1").history.count(["Ping"].into_iter(), None, play.now)), (1, 1));
    let later = play.now + hours(1);
    let mut forgetful = Play::with_customer(Shop::free().open());
    forgetful.put(input.clone());
    forgetful.pass_until(later);
    forgetful.put(input);
    assert_eq!(forgetful.customer("user:1").history.count(["Ping"].into_iter(), None, later), 2, "after seven days it is forgotten");
}

#[test]
pub(crate) fn a_clock_ahead_does_not_let_an_event_happen_after_it_was_received() {
    let mut play = cart();
    let ahead = play.now + hours(5);
    play.track_as(&["user:1"], "Product Added", ahead, lamp("c1"));
    play.pass(minutes(5));
    play.track("Order Completed", order("c1"));
    assert!(play.has(Verdict::Ended, Reason::Exception));
}

#[test]
pub(crate) fn a_trigger_keeps_what_its_campaign_reads_and_no_more() {
    let campaign = "campaign: each\nwhen: { event: Ping, each: event }\nwait: 1h\nsend: { sms: { text: { en: \"{{ event.word }}\" } } }\n";
    let mut play = Play::with_customer(Shop::free().campaign(campaign).open());
    play.track("Ping", json!({ "word": "hello", "blob": "x".repeat(30_000) }));
    assert!(play.customer("user:1").encode().len() < 4_000);
    play.pass(hours(1));
    play.track("Ping", json!({ "word": "x".repeat(30_000) }));
    play.pass(hours(1));
    assert_eq!(play.texts(), ["hello"]);
    assert!(play.has(Verdict::Skipped, Reason::TextFailed), "too large to keep: missing, never an empty hole");
}
