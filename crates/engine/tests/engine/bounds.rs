//! State stays bounded whatever is reported, and every word on record occurs.

use cartwheel_engine::{
    campaigns::CampaignState,
    customer::{Customer, JOURNEYS_LIMIT},
    decision::{Reason, Verdict},
    input::{Event, Fact, Input},
    step,
};
use serde_json::json;

use crate::{
    caps, carts, consent, identity, life, outcomes,
    play::{Play, SEEN, at, hours, key, minutes, properties},
    shop::{CART, Shop, shipped},
    texts, waits,
};

const PING: &str = "campaign: ping\nwhen: { event: Ping, each: event }\nwait: 90d\nsend: { sms: { text: { en: \"{{ event.word }}\" } } }\n";

#[test]
fn state_stays_bounded_under_a_hundred_thousand_events() {
    // Every bound is reached within ten thousand; without optimisation the rest takes half a minute.
    let events = if cfg!(debug_assertions) { 15_000 } else { 100_000 };
    let campaigns = shipped();
    let mut customer = Customer::default();
    let mut now = at("2026-03-02T12:00:00Z");
    let mut largest = 0;
    for number in 0..events {
        now += jiff::SignedDuration::from_secs(7);
        let name = match number % 7 {
            0..=2 => "Product Added".to_owned(),
            3 => "Order Completed".to_owned(),
            4 => "Order Delivered".to_owned(),
            5 => "Product Viewed".to_owned(),
            _ => format!("Own Event {number}"),
        };
        let long = "x".repeat(1_000);
        let json = json!({ "cart_id": number, "order_id": number, "product_id": number, "name": "Lamp", "price": 40, "total": 40, "currency": "GBP", "url": long, "junk": long });
        let event = Event { name, occurred: now, properties: properties(json) };
        let input = Input { key: key("user:1"), id: format!("e{number}"), received: now, names: vec![], fact: Fact::Tracked(event) };
        step(&campaigns, &mut customer, now, &input, &mut Vec::new());
        if number % 5_000 == 0 {
            largest = largest.max(customer.encode().len());
        }
    }
    assert!(customer.journeys.len() <= JOURNEYS_LIMIT && largest > 10_000, "{largest}");
    assert!(largest < 400_000, "{largest} bytes");
}

#[test]
fn of_too_many_journeys_the_oldest_gives_way_and_it_is_said() {
    let mut play = Play::with_customer(Shop::free().campaign(PING).open());
    for _ in 0..=JOURNEYS_LIMIT {
        play.track("Ping", json!({ "word": "w" }));
        play.pass(minutes(1));
    }
    assert_eq!(play.customer("user:1").journeys.len(), JOURNEYS_LIMIT);
    assert_eq!(play.decisions.iter().filter(|decision| decision.reason == Reason::Bounded).count(), 1);
    assert_eq!(play.timers.len(), JOURNEYS_LIMIT);
}

#[test]
fn a_profile_takes_no_attribute_larger_than_its_bound_and_no_more_than_its_number() {
    let mut play = Play::with_customer(Shop::free().open());
    play.traits(json!({ "large": "x".repeat(3_000) }));
    for number in 0..300 {
        play.traits(json!({ format!("a{number}"): 1 }));
    }
    assert_eq!(play.customer("user:1").profile.attributes.len(), 256);
}

/// A text of a language that the shop no longer leads with.
fn a_campaign_without_a_text_in_the_shops_first_language() {
    let campaigns = Shop::free().campaign(CART).open_as(
        1,
        |_| CampaignState::Active,
        |campaign| {
            for step in &mut campaign.steps {
                if let cartwheel_language::Verb::Send(send) = &mut step.verb {
                    send.sms.text.clear();
                }
            }
        },
    );
    let mut play = Play::with_customer(campaigns);
    play.track("Product Added", json!({ "cart_id": "c1" }));
    play.pass(hours(1));
    assert_eq!(play.last(Verdict::Skipped).reason, Reason::NoText);
}

#[test]
fn every_verdict_and_every_reason_occurs() {
    SEEN.take();
    a_campaign_without_a_text_in_the_shops_first_language();
    of_too_many_journeys_the_oldest_gives_way_and_it_is_said();
    caps::r30_a_deferred_message_goes_when_there_is_room_unless_it_expires();
    carts::r02_a_trigger_begins_only_where_its_condition_on_the_event_is_true();
    carts::r04_a_cart_without_its_id_begins_nothing_and_says_so();
    carts::r04_adding_again_restarts_the_wait();
    carts::r26_an_exception_that_comes_while_the_message_is_being_handed_over_is_a_regret();
    carts::r33_again_after_a_duration_counts_from_the_last_message();
    carts::r33_restarts_never_leaves_the_wait_and_always_sends_again();
    carts::r33_without_parallel_one_object_at_a_time();
    carts::r35_events_of_any_age_update_state_but_older_ones_than_the_bound_begin_nothing();
    consent::r68_stop_ends_all_messages_also_what_is_on_its_way_and_start_brings_them_back();
    consent::r67_nothing_goes_out_without_consent_and_a_decision_shows_the_consent_that_let_it();
    consent::who_has_no_address_a_wrong_one_or_a_dead_one_gets_nothing_until_it_changes();
    identity::a_hand_over_that_cannot_be_read_is_set_aside_and_said();
    identity::r45_two_journeys_of_one_cart_go_on_as_one_and_the_newer_trigger_counts();
    life::a_paused_campaign_begins_nothing_holds_what_is_due_and_sends_it_after_the_resume();
    life::an_archived_or_vanished_campaign_ends_its_journeys();
    life::r27_a_sends_own_condition_is_looked_at_when_it_is_reached_and_before_each_hand_over();
    life::r28_events_before_the_start_never_qualify_and_nothing_is_sent_from_the_end_on();
    life::r29_the_shops_zone_is_the_last_resort_and_drop_does_not_wait();
    outcomes::what_stands_stopped_for_good_is_passed_over();
    texts::r55_a_missing_variable_is_never_an_empty_hole();
    texts::r56_parts_are_counted_at_their_edges_and_too_many_are_refused();
    waits::a_firing_far_ahead_of_the_log_is_armed_again_after_a_pause();
    waits::r27_the_audience_is_checked_at_entry_and_again_before_the_send();
    let seen = SEEN.take();
    let verdicts: Vec<_> = Verdict::ALL.iter().filter(|verdict| !seen.iter().any(|(seen, _)| seen == *verdict)).collect();
    let reasons: Vec<_> = Reason::ALL.iter().filter(|reason| !seen.iter().any(|(_, seen)| seen == *reason)).collect();
    assert!(verdicts.is_empty() && reasons.is_empty(), "never occurred: {verdicts:?} {reasons:?}");
}
