//! Names of persons on many homes, each with its own log, read in any order: no event is lost or doubled, one journey goes on per cart,
//! records come to rest, and a stop holds (rules P16, P17, P23, P24).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cartwheel_engine::{
    customer::Stage,
    effect::Wanted,
    input::{Fact, Input, Outcome, OutcomeResult, Return, Suppression},
    key::CustomerKey,
};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    play::{Answer, Play, hours, key, minutes},
    shop::{CART, Shop},
};

const NAMES: [&str; 6] = ["anonymous:1", "anonymous:2", "phone:+447700900001", "phone:+447700900002", "user:1", "user:2"];

/// All homes with their logs.
struct Town {
    play: Play,
    logs: BTreeMap<CustomerKey, VecDeque<Input>>,
    /// Sent to the dispatcher, not answered: by position in the play's messages.
    out: BTreeSet<usize>,
    handed: usize,
    /// Numbers whose stop is on the log.
    stopped: BTreeSet<CustomerKey>,
    tracked: u64,
    hops: usize,
}

impl Town {
    fn new() -> Self {
        let mut play = Play::new(Shop::free().campaign(CART).open());
        play.answer = Answer::Nothing;
        Self { play, logs: BTreeMap::new(), out: BTreeSet::new(), handed: 0, stopped: BTreeSet::new(), tracked: 0, hops: 0 }
    }

    fn append(&mut self, input: Input) {
        self.logs.entry(input.key.clone()).or_default().push_back(input);
    }

    /// Reads one record of the n-th log that has any.
    fn read(&mut self, choice: usize) {
        let filled: Vec<CustomerKey> = self.logs.iter().filter(|(_, log)| !log.is_empty()).map(|(home, _)| home.clone()).collect();
        let Some(home) = filled.get(choice % filled.len().max(1)) else { return };
        let Some(input) = self.logs.get_mut(home).and_then(VecDeque::pop_front) else { return };
        let before = self.play.sent();
        self.play.fold(&input);
        self.out.extend(before..self.play.sent());
        self.hops += 1;
        for emitted in std::mem::take(&mut self.play.inbox) {
            self.append(emitted);
        }
        let home = &self.play.homes[home];
        let mut objects = BTreeSet::new();
        for journey in home.journeys.values() {
            assert!(objects.insert(journey.object.clone()), "one journey a cart");
        }
    }

    /// The dispatcher takes the n-th message that is out, asks at the gate, and answers.
    fn dispatch(&mut self, choice: usize) {
        let Some(number) = self.out.iter().nth(choice % self.out.len().max(1)).copied() else { return };
        let message = &self.play.messages[number];
        let is_read = |home: &CustomerKey| self.logs.get(home).is_none_or(VecDeque::is_empty);
        if !is_read(&message.customer) || !is_read(&message.address_home) {
            return;
        }
        let wanted = self.play.homes[&message.customer].flight_entries(&message.customer).get(&message.id).map(|entry| entry.wanted);
        let blocked = self.play.homes.get(&message.address_home).is_some_and(|home| !home.blocked.is_empty());
        let result = match wanted {
            _ if blocked => OutcomeResult::Suppressed { reason: Suppression::OptedOut },
            Some(Wanted::Moved) => OutcomeResult::Returned { reason: Return::Moved },
            Some(Wanted::Yes) => {
                assert!(!self.stopped.contains(&message.address_home), "nothing goes to a number whose stop is on the log");
                self.handed += 1;
                OutcomeResult::Sent
            }
            Some(Wanted::Revoked) | None => OutcomeResult::Suppressed { reason: Suppression::Revoked },
        };
        let fact = Fact::Outcome(Outcome { message: message.id.clone(), result, at: self.play.now });
        let input = Input { key: message.customer.clone(), id: format!("{number}"), received: self.play.now, names: vec![], fact };
        self.out.remove(&number);
        self.append(input);
    }

    /// The earliest timer comes due.
    fn fire(&mut self) {
        let Some((due, timer, home)) = self.play.timers.pop_first() else { return };
        self.play.now = self.play.now.max(due);
        let fact = Fact::TimerFired { timer: timer.clone(), due };
        self.append(Input { key: home, id: timer.to_string(), received: self.play.now, names: vec![], fact });
    }

    fn act(&mut self, kind: u8, one: usize, other: usize) {
        self.play.now += minutes(1);
        let (one, other) = (NAMES[one], NAMES[other]);
        match kind {
            0..=3 => {
                self.tracked += 1;
                let lamp = json!({ "cart_id": format!("c{}", self.tracked % 2), "name": "Lamp", "quantity": 1 });
                let input = self.play.input(&[one], Play::event("Product Added", self.play.now, lamp));
                self.append(input);
            }
            4..=6 => {
                let (strong, weak) = if key(one).outranks(&key(other)) { (one, other) } else { (other, one) };
                let number = [one, other].into_iter().find_map(|name| name.strip_prefix("phone:")).unwrap_or("+447700900001");
                let identified = Play::reachable(number);
                let names: &[&str] = if strong == weak { &[strong] } else { &[strong, weak] };
                let input = self.play.input(names, Fact::Identified(identified));
                self.append(input);
            }
            7 => {
                let home = if one.ends_with('1') { NAMES[2] } else { NAMES[3] };
                let fact = Fact::OptedOut { channel: cartwheel_language::Channel::Sms, by: cartwheel_engine::input::OptOutBy::Keyword };
                let mut input = self.play.input(&[home], fact);
                input.names.clear();
                self.stopped.insert(key(home));
                self.append(input);
            }
            _ => self.fire(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r45_names_meet_in_any_order_and_nothing_is_lost_or_doubled(
        turns in prop::collection::vec((0_u8..20, 0_u8..10, 0_usize..6, 0_usize..6, any::<u16>()), 1..120),
    ) {
        let mut town = Town::new();
        for (turn, kind, one, other, choice) in turns {
            match turn {
                0..=6 => town.act(kind, one, other),
                7..=15 => town.read(usize::from(choice)),
                _ => town.dispatch(usize::from(choice)),
            }
        }
        // Everything comes to rest.
        let mut rounds = 0;
        while town.logs.values().any(|log| !log.is_empty()) || !town.out.is_empty() || !town.play.timers.is_empty() {
            town.read(rounds);
            town.dispatch(rounds);
            if town.logs.values().all(VecDeque::is_empty) && town.out.is_empty() {
                town.fire();
            }
            rounds += 1;
            prop_assert!(rounds < 5_000, "records go round in circles");
        }
        let homes = &town.play.homes;
        let counted: u64 = homes.values().map(|home| home.history.count(["Product Added"].into_iter(), None, town.play.now)).sum();
        prop_assert_eq!(counted, town.tracked, "an event is counted once, at one home");
        for (name, home) in homes {
            prop_assert!(home.moved_to.as_ref().is_none_or(|to| to.outranks(name)), "homes move to stronger names only");
            prop_assert!(home.moved_flights.is_empty() && home.sends.flights.is_empty() && home.journeys.is_empty(), "nothing is left behind");
            prop_assert_eq!(home.sends.imbalance(), 0);
        }
        let handed: u64 = homes.values().map(|home| home.sends.tally.sent).sum();
        prop_assert_eq!(handed, town.handed as u64);
    }
}

#[test]
fn a_customer_of_hundreds_of_names_stays_bounded() {
    let mut play = Play::new(Shop::free().campaign(CART).open());
    for number in 0..300 {
        play.track_as(&["user:1", &format!("anonymous:{number}")], "Page Viewed", play.now, json!({}));
    }
    play.pass(hours(1));
    assert_eq!(play.customer("user:1").names.len(), cartwheel_engine::customer::NAMES_LIMIT);
    assert!((0..300).all(|number| play.customer(&format!("anonymous:{number}")).moved_to.is_some()));
    assert!(play.customer("user:1").journeys.values().all(|journey| !matches!(journey.stage, Stage::Flying { .. })));
}
