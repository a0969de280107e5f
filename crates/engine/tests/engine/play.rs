//! Customers on a virtual clock: inputs go in, timers fire in order, records reach the homes that they are for, messages are answered
//! as told.
//!
//! What must hold of every step is asserted at every step: the same input gives the same effects and state, also to a customer that
//! was stored and read back in between; the balance is zero; ids of timers and messages are never used twice; nothing is sent that
//! must not be.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use cartwheel_engine::{
    campaigns::Campaigns,
    customer::Customer,
    decision::{Decision, Reason, Verdict},
    effect::{Effect, Message},
    id::{MessageId, TimerId},
    input::{Address, ConsentChange, Consented, Event, Fact, Identified, Input, OptOutBy, Outcome, OutcomeResult},
    key::CustomerKey,
    step,
};
use cartwheel_language::{Channel, Value};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

/// What becomes of messages that a test says nothing of.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// They stay on their way.
    Nothing,
    /// This, at once.
    At(OutcomeResult),
}

thread_local! {
    /// What was decided on this thread, by any play.
    pub(crate) static SEEN: RefCell<BTreeSet<(Verdict, Reason)>> = const { RefCell::new(BTreeSet::new()) };
}

pub(crate) struct Play {
    pub(crate) campaigns: Campaigns,
    pub(crate) homes: BTreeMap<CustomerKey, Customer>,
    pub(crate) now: Timestamp,
    pub(crate) timers: BTreeSet<(Timestamp, TimerId, CustomerKey)>,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) messages: Vec<Message>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) answer: Answer,
    armed: BTreeSet<TimerId>,
    sent: BTreeSet<MessageId>,
    recorded: BTreeSet<String>,
    stopped: BTreeSet<CustomerKey>,
    count: u32,
}

pub(crate) fn key(name: &str) -> CustomerKey {
    format!("acme/{name}").parse().expect("a customer key")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| panic!("{text} is a moment"))
}

pub(crate) fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

pub(crate) fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

pub(crate) fn properties(json: Json) -> BTreeMap<String, Value> {
    match Value::from(json) {
        Value::Map(map) => map,
        _ => BTreeMap::new(),
    }
}

/// The address that a reserved number is.
pub(crate) fn address(number: &str) -> Address {
    let home = Some(key(&format!("phone:{number}")));
    let country = if number.starts_with("+44") { Some("GB".to_owned()) } else { None };
    Address { value: number.to_owned(), home, country, invalid: None }
}

pub(crate) const NUMBER: &str = "+447700900123";

impl Play {
    /// Begins on Monday, 2026-03-02, at noon.
    pub(crate) fn new(campaigns: Campaigns) -> Self {
        Self {
            campaigns,
            homes: BTreeMap::new(),
            now: at("2026-03-02T12:00:00Z"),
            timers: BTreeSet::new(),
            inbox: VecDeque::new(),
            messages: Vec::new(),
            decisions: Vec::new(),
            answer: Answer::At(OutcomeResult::Sent),
            armed: BTreeSet::new(),
            sent: BTreeSet::new(),
            recorded: BTreeSet::new(),
            stopped: BTreeSet::new(),
            count: 0,
        }
    }

    /// With a customer `user:1` who has a number and agreed to everything.
    pub(crate) fn with_customer(campaigns: Campaigns) -> Self {
        let mut play = Self::new(campaigns);
        play.identify(&["user:1"], Self::reachable(NUMBER));
        play.decisions.clear();
        play
    }

    /// A number, and consent to promotional messages there.
    pub(crate) fn reachable(number: &str) -> Identified {
        Self::consented(number, Consented::Promotional)
    }

    pub(crate) fn consented(number: &str, to: Consented) -> Identified {
        Identified {
            occurred: None,
            traits: BTreeMap::new(),
            addresses: [(Channel::Sms, address(number))].into(),
            consents: vec![ConsentChange { channel: Channel::Sms, to, source: "form".to_owned(), proof: Some("f1".to_owned()) }],
        }
    }

    pub(crate) fn fresh_id(&mut self) -> String {
        self.count += 1;
        format!("e{}", self.count)
    }

    /// A record about somebody, by the first of these names, now.
    pub(crate) fn input(&mut self, names: &[&str], fact: Fact) -> Input {
        let id = self.fresh_id();
        Input { key: key(names[0]), id, received: self.now, names: names.iter().map(|name| key(name)).collect(), fact }
    }

    pub(crate) fn event(name: &str, occurred: Timestamp, json: Json) -> Fact {
        Fact::Tracked(Event { name: name.to_owned(), occurred, properties: properties(json) })
    }

    /// `user:1` does something now.
    pub(crate) fn track(&mut self, name: &str, json: Json) {
        self.track_as(&["user:1"], name, self.now, json);
    }

    /// Somebody did something at a moment; it is reported now.
    pub(crate) fn track_as(&mut self, names: &[&str], name: &str, occurred: Timestamp, json: Json) {
        let input = self.input(names, Self::event(name, occurred, json));
        self.put(input);
    }

    pub(crate) fn identify(&mut self, names: &[&str], identified: Identified) {
        let input = self.input(names, Fact::Identified(identified));
        self.put(input);
    }

    pub(crate) fn traits(&mut self, json: Json) {
        self.identify(&["user:1"], Identified { traits: properties(json), ..Identified::default() });
    }

    /// The owner of a number writes STOP.
    pub(crate) fn stop(&mut self, number: &str) {
        let home = format!("phone:{number}");
        let mut input = self.input(&[&home], Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Keyword });
        input.names.clear();
        self.put(input);
    }

    /// The owner of a number writes START.
    pub(crate) fn start(&mut self, number: &str) {
        let home = format!("phone:{number}");
        let mut input = self.input(&[&home], Fact::OptedIn { channel: Channel::Sms });
        input.names.clear();
        self.put(input);
    }

    /// What became of the message that was decided as the n-th.
    pub(crate) fn outcome(&mut self, number: usize, result: OutcomeResult) {
        let message = &self.messages[number];
        let (key, message) = (message.customer.clone(), message.id.clone());
        let id = self.fresh_id();
        let fact = Fact::Outcome(Outcome { message, result, at: self.now });
        self.put(Input { key, id, received: self.now, names: vec![], fact });
    }

    /// Folds a record and all that it leads to, except timers.
    pub(crate) fn put(&mut self, input: Input) {
        self.inbox.push_back(input);
        while let Some(input) = self.inbox.pop_front() {
            for answer in self.fold(&input) {
                self.inbox.push_back(answer);
            }
        }
    }

    /// Folds one record, checks what must hold of every step, and resolves with what its messages were answered.
    pub(crate) fn fold(&mut self, input: &Input) -> Vec<Input> {
        let customer = self.homes.remove(&input.key).unwrap_or_default();
        let mut effects = Vec::new();
        let mut stored = Customer::decode(&customer.encode()).expect("a stored customer is read back");
        assert_eq!(stored, customer, "stored and read back, a customer is the same");
        let mut stored_effects = Vec::new();
        let mut customer = customer;
        step(&self.campaigns, &mut customer, self.now, input, &mut effects);
        step(&self.campaigns, &mut stored, self.now, input, &mut stored_effects);
        assert_eq!(effects, stored_effects, "the same input has the same effects");
        assert_eq!(customer.encode(), stored.encode(), "the same input leads to the same bytes");
        assert_eq!(customer.sends.imbalance(), 0, "the balance is zero");
        if let Fact::OptedOut { .. } = input.fact {
            self.stopped.insert(input.key.clone());
        }
        if let Fact::OptedIn { .. } = input.fact {
            self.stopped.remove(&input.key);
        }
        let mut answers = Vec::new();
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, due } => {
                    assert!(self.armed.insert(timer.clone()), "an arming is never used again");
                    self.timers.insert((due, timer, input.key.clone()));
                }
                Effect::CancelTimer { timer, home } => {
                    assert!(self.armed.contains(&timer), "only a timer that was set is cancelled");
                    self.timers.retain(|(_, known, at)| *known != timer || *at != home);
                }
                Effect::Send(message) => {
                    self.check_send(&customer, &message);
                    if let Answer::At(result) = &self.answer {
                        let fact = Fact::Outcome(Outcome { message: message.id.clone(), result: result.clone(), at: self.now });
                        let id = format!("outcome of {}", message.id);
                        answers.push(Input { key: message.customer.clone(), id, received: self.now, names: vec![], fact });
                    }
                    self.messages.push(*message);
                }
                Effect::Emit { input: emitted, .. } => {
                    assert_ne!(emitted.key, input.key, "nobody forwards to himself");
                    self.inbox.push_back(*emitted);
                }
                Effect::Record(decision) => {
                    SEEN.with_borrow_mut(|seen| seen.insert((decision.verdict, decision.reason)));
                    assert!(self.recorded.insert(decision.id.clone()), "a decision's id is never used again");
                    self.decisions.push(*decision);
                }
            }
        }
        self.homes.insert(input.key.clone(), customer);
        answers
    }

    fn check_send(&mut self, customer: &Customer, message: &Message) {
        assert!(self.sent.insert(message.id.clone()), "a message id is never used again");
        assert!(!self.stopped.contains(&message.customer), "nothing is sent to who opted out");
        assert!(message.not_after > message.decided && message.not_after.duration_since(message.decided) <= hours(24));
        let flight = &customer.sends.flights[&message.id];
        assert!(!flight.revoked && flight.until <= message.not_after);
    }

    /// Time passes up to and with this moment; due timers fire in order.
    pub(crate) fn pass_until(&mut self, until: Timestamp) {
        while let Some((due, timer, home)) = self.timers.first().filter(|(due, ..)| *due <= until).cloned() {
            self.timers.remove(&(due, timer.clone(), home.clone()));
            self.now = self.now.max(due);
            let fact = Fact::TimerFired { timer: timer.clone(), due };
            self.put(Input { key: home, id: timer.to_string(), received: self.now, names: vec![], fact });
        }
        self.now = until;
    }

    pub(crate) fn pass(&mut self, time: SignedDuration) {
        self.pass_until(self.now + time);
    }

    pub(crate) fn customer(&self, name: &str) -> &Customer {
        &self.homes[&key(name)]
    }

    /// How many messages were decided.
    pub(crate) fn sent(&self) -> usize {
        self.messages.len()
    }

    /// The texts of all messages.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.text.as_str()).collect()
    }

    /// The decisions since the last call, in words, without those of a kind that a test takes for granted.
    pub(crate) fn said(&mut self) -> Vec<(Verdict, Reason)> {
        std::mem::take(&mut self.decisions).into_iter().map(|decision| (decision.verdict, decision.reason)).collect()
    }

    /// The newest decision of this verdict.
    pub(crate) fn last(&self, verdict: Verdict) -> &Decision {
        self.decisions.iter().rev().find(|decision| decision.verdict == verdict).unwrap_or_else(|| panic!("no decision `{verdict:?}`"))
    }

    pub(crate) fn has(&self, verdict: Verdict, reason: Reason) -> bool {
        self.decisions.iter().any(|decision| (decision.verdict, decision.reason) == (verdict, reason))
    }
}
