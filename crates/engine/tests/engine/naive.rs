//! The engine against a reference that remembers every report and works everything out anew from all of them, cart by cart.

use cartwheel_engine::customer::Stage;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    play::{NUMBER, Play, hours, minutes},
    shop::{CART, Shop},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Add(u8),
    /// Of a cart, or of none that is named.
    Order(Option<u8>),
    Stop,
    Start,
    Look,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    /// Since the one before.
    gap: i64,
    /// How late it is.
    late: i64,
    act: Act,
    /// Whether it comes twice.
    twice: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Again {
    Always,
    Never,
    Hours(i64),
}

const WAIT: SignedDuration = SignedDuration::from_mins(30);

/// What is known of one cart when so much was reported: when its messages were sent, and since when it waits.
fn recompute(reports: &[(Timestamp, Timestamp, Act)], cart: u8, again: Again, now: Timestamp) -> (Vec<Timestamp>, Option<Timestamp>) {
    let mut sent: Vec<Timestamp> = Vec::new();
    let mut ended = false;
    let mut waiting: Option<(Timestamp, Timestamp)> = None;
    let stopped_at = |moment: Timestamp| {
        let mut said = reports.iter().rev().filter(|(arrived, _, act)| *arrived < moment && matches!(act, Act::Stop | Act::Start));
        said.next().is_some_and(|(_, _, act)| *act == Act::Stop)
    };
    let due = |waiting: &mut Option<(Timestamp, Timestamp)>, ended: &mut bool, sent: &mut Vec<Timestamp>, until: Timestamp| {
        if let Some((_, since)) = *waiting
            && since + WAIT <= until
        {
            *waiting = None;
            *ended = true;
            if !stopped_at(since + WAIT) {
                sent.push(since + WAIT);
            }
        }
    };
    for (position, (arrived, occurred, act)) in reports.iter().enumerate() {
        due(&mut waiting, &mut ended, &mut sent, *arrived);
        match act {
            Act::Order(of) if of.is_none_or(|of| of == cart) => waiting = waiting.filter(|(trigger, _)| occurred < trigger),
            Act::Add(of) if *of == cart => {
                let bought_since = reports[..position]
                    .iter()
                    .any(|(_, bought, act)| matches!(act, Act::Order(of) if of.is_none_or(|of| of == cart)) && bought > occurred);
                let may_again = match again {
                    Again::Always => true,
                    Again::Never => !ended,
                    Again::Hours(count) => sent.last().is_none_or(|at| *at + hours(count) <= *arrived),
                };
                match waiting {
                    _ if bought_since => {}
                    Some((trigger, _)) if *occurred >= trigger => waiting = Some((*occurred, *arrived)),
                    None if may_again => waiting = Some((*occurred, *arrived)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    due(&mut waiting, &mut ended, &mut sent, now);
    (sent, waiting.map(|(_, since)| since))
}

fn reports() -> impl Strategy<Value = Vec<Report>> {
    let act = prop_oneof![
        6 => (0_u8..3).prop_map(Act::Add),
        2 => (0_u8..3).prop_map(|cart| Act::Order(Some(cart))),
        1 => Just(Act::Order(None)),
        1 => Just(Act::Stop),
        1 => Just(Act::Start),
        2 => Just(Act::Look),
    ];
    let late = prop_oneof![3 => Just(0_i64), 1 => 1_i64..90];
    let report = (0_i64..40, late, act, prop::bool::weighted(0.1));
    prop::collection::vec(report.prop_map(|(gap, late, act, twice)| Report { gap, late, act, twice }), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_decides_as_one_who_works_everything_out_anew(
        reports in reports(),
        again in prop_oneof![Just(Again::Always), Just(Again::Never), Just(Again::Hours(2))],
    ) {
        let word = match again { Again::Always => "always".to_owned(), Again::Never => "never".to_owned(), Again::Hours(count) => format!("{count}h") };
        let text = CART.replace("again:  always", &format!("again: {word}")).replace("{% for line in cart.products %}{{ line.quantity }} {{ line.name }} {% endfor %}", "x");
        let mut play = Play::new(Shop::free().campaign(&text).open());
        let phone = format!("phone:{NUMBER}");
        play.identify(&["user:1", &phone], Play::reachable(NUMBER));
        play.pass(hours(48));
        let mut known = Vec::new();
        for Report { gap, late, act, twice } in reports {
            play.pass(minutes(gap));
            let occurred = play.now - minutes(late);
            known.push((play.now, occurred, act));
            match act {
                Act::Stop => play.stop(NUMBER),
                Act::Start => play.start(NUMBER),
                Act::Add(_) | Act::Order(_) | Act::Look => {
                    let fact = match act {
                        Act::Add(cart) => Play::event("Product Added", occurred, json!({ "cart_id": cart, "name": "Lamp", "quantity": 1 })),
                        Act::Order(Some(cart)) => Play::event("Order Completed", occurred, json!({ "cart_id": cart })),
                        Act::Order(None) => Play::event("Order Completed", occurred, json!({})),
                        _ => Play::event("Page Viewed", occurred, json!({})),
                    };
                    let input = play.input(&["user:1"], fact);
                    play.put(input.clone());
                    if twice {
                        play.put(input);
                    }
                }
            }
            for cart in 0..3_u8 {
                let (sent, waiting) = recompute(&known, cart, again, play.now);
                let object = Some(cart.to_string());
                let sent_for = play.decisions.iter().filter(|decision| decision.message.is_some() && decision.object == object);
                prop_assert_eq!(sent_for.map(|decision| decision.at).collect::<Vec<_>>(), sent, "messages of cart {}", cart);
                let customer = play.customer("user:1");
                let journey = customer.journeys.values().find(|journey| journey.object.as_ref().map(|(_, id)| id) == object.as_ref());
                let waits = journey.map(|journey| match journey.stage { Stage::Waiting { reached } => reached, _ => Timestamp::MAX });
                prop_assert_eq!(waits, waiting, "cart {} waits", cart);
            }
        }
    }
}
