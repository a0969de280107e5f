//! One customer and everything that can happen, in any order: what must hold of each step is asserted by the play, what must hold of
//! the whole here.

use std::collections::BTreeMap;

use cartwheel_engine::{
    campaigns::CampaignState,
    input::{Consented, Identified, Input, OutcomeResult, Return, Suppression},
};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use crate::{
    play::{Answer, NUMBER, Play, hours, minutes},
    shop::{CART, Shop},
};

fn shop() -> Shop {
    let cart = CART.replace("{% for line in cart.products %}{{ line.quantity }} {{ line.name }} {% endfor %}", "x");
    Shop::with("quiet_hours: { promotional: { from: \"21:00\", to: \"09:00\" }, transactional: none }\ncaps: [{ at_most: 2, per: day }, { at_most: 3, per: 48h }]\n")
        .campaign(&format!("{cart}caps: {{ when_full: defer }}\nexpires_after: 3d\n"))
        .campaign("campaign: browse\nwhen: { event: Product Viewed, each: customer }\nunless: [Product Added]\nwait: { until: 30m of silence }\nsend: { sms: { text: { en: Browse } } }\n")
        .campaign("campaign: left\nwhen: { event: Session Ended, each: event }\nsend: { sms: { text: { en: Left } } }\n")
        .campaign("campaign: bought\nwhen: { event: Order Completed, each: order }\nrestarts: always\nwait: { for: 1d, at: \"18:00\" }\nsend: { sms: { text: { en: Bought } } }\n")
}

fn result(choice: u8) -> OutcomeResult {
    match choice % 12 {
        0..=3 => OutcomeResult::Sent,
        4 => OutcomeResult::Delivered,
        5 => OutcomeResult::Unknown,
        6 => OutcomeResult::Failed { reason: "30003".to_owned(), address: false },
        7 => OutcomeResult::Suppressed { reason: Suppression::Revoked },
        8 => OutcomeResult::Suppressed { reason: Suppression::OptedOut },
        9 => OutcomeResult::Expired,
        10 => OutcomeResult::Returned { reason: Return::WindowClosed },
        _ => OutcomeResult::Returned { reason: Return::QueueFull },
    }
}

/// Hand-overs under caps in any calendar day and any 48 hours; London keeps UTC in winter.
fn assert_caps(handed: &BTreeMap<usize, Timestamp>) {
    let mut at: Vec<Timestamp> = handed.values().copied().collect();
    at.sort();
    for moment in &at {
        let day = at.iter().filter(|other| other.as_second() / 86_400 == moment.as_second() / 86_400).count();
        let rolling = at.iter().filter(|other| **other <= *moment && **other > *moment - hours(48)).count();
        assert!(day <= 2 && rolling <= 3, "a cap is exceeded at {moment}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_caps_hold_a_stop_holds_and_everything_comes_to_rest(
        turns in prop::collection::vec((0_u8..16, any::<u8>(), 0_i64..90), 1..100),
    ) {
        let campaigns = shop().open();
        let paused = shop().open_as(2, |_| CampaignState::Paused, |_| {});
        let mut play = Play::new(campaigns.clone());
        let phone = format!("phone:{NUMBER}");
        play.identify(&["user:1", &phone], Play::reachable(NUMBER));
        play.answer = Answer::Nothing;
        let mut open: Vec<usize> = Vec::new();
        let mut handed = BTreeMap::new();
        let mut past: Vec<Input> = Vec::new();
        let mut known = 0;
        for (kind, choice, gap) in turns {
            play.pass(minutes(gap));
            open.extend(known..play.sent());
            known = play.sent();
            let cart = json!({ "cart_id": choice % 3, "order_id": choice % 4, "name": "Lamp", "price": 9, "quantity": 1 });
            let late = play.now - minutes(if choice > 200 { i64::from(choice) } else { 0 });
            match kind {
                0..=6 => {
                    let name = ["Product Added", "Product Viewed", "Order Completed", "Page Viewed", "Product Added", "Product Removed", "Cart Cleared"][usize::from(kind)];
                    let input = play.input(&["user:1"], Play::event(name, late, cart));
                    past.push(input.clone());
                    play.put(input);
                }
                7..=10 if !open.is_empty() => {
                    let number = open.remove(usize::from(choice) % open.len());
                    let revoked = play.customer("user:1").sends.flights[&play.messages[number].id].revoked;
                    let mut result = result(choice);
                    if matches!(result, OutcomeResult::Sent | OutcomeResult::Delivered | OutcomeResult::Unknown) {
                        // The gate lets nothing through that is revoked or too late.
                        if revoked {
                            result = OutcomeResult::Suppressed { reason: Suppression::Revoked };
                        } else if play.messages[number].not_after <= play.now {
                            result = OutcomeResult::Expired;
                        } else {
                            handed.insert(number, play.now);
                        }
                    }
                    play.outcome(number, result);
                }
                11 if !past.is_empty() => {
                    let again = past[usize::from(choice) % past.len()].clone();
                    let before = play.customer("user:1").clone();
                    play.put(again);
                    prop_assert_eq!(play.customer("user:1"), &before, "what comes again changes nothing");
                }
                12 => play.stop(NUMBER),
                13 => play.start(NUMBER),
                14 => {
                    let to = [Consented::None, Consented::Transactional, Consented::Promotional, Consented::Promotional][usize::from(choice % 4)];
                    play.identify(&["user:1", &phone], Identified { addresses: BTreeMap::new(), ..Play::consented(NUMBER, to) });
                }
                _ => play.campaigns = if choice % 3 == 0 { paused.clone() } else { campaigns.clone() },
            }
            assert_caps(&handed);
        }
        play.campaigns = campaigns;
        play.answer = Answer::At(OutcomeResult::Sent);
        for number in open {
            play.outcome(number, OutcomeResult::Expired);
        }
        let rest = known.max(play.sent());
        for number in known..rest {
            if play.customer("user:1").sends.flights.contains_key(&play.messages[number].id) {
                play.outcome(number, OutcomeResult::Expired);
            }
        }
        play.pass(hours(24 * 12));
        let customer = play.customer("user:1");
        prop_assert!(customer.journeys.is_empty() && customer.sends.flights.is_empty() && play.timers.is_empty(), "everything comes to rest");
    }
}
