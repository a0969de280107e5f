//! Who watches: reads every record that lands and every call to the provider, and holds them against the promises.
//!
//! It knows nothing of engine or workers: what a promise means is said here once more, in the plainest way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cartwheel_engine::{
    decision::{Reason, Verdict},
    effect::Message,
    id::{JourneyId, MessageId},
    input::{Fact, OutcomeResult},
    key::CustomerKey,
};
use cartwheel_language::{Class, Delivery, Value};
use cartwheel_runtime::{
    clock::Clock,
    log::{Offset, Partition, Record},
    memory_log::MemoryLog,
};
use cartwheel_wire::{Codec, DecisionRecord, DeliveryRecord, DeliveryVerdict, EventBody, EventRecord, SendRecord, TimerRecord, Topics};
use jiff::{SignedDuration, Timestamp};

use crate::{Violation, fault::Fault};

/// How many of the last steps a failure shows.
const LAST_STEPS: usize = 60;

/// What a STOP, an exception or a pause may be behind the hand-over (rule P16), as the dispatcher's defaults have it.
pub(crate) fn freshness(class: Class) -> SignedDuration {
    match class {
        Class::Promotional => SignedDuration::from_secs(5),
        Class::Transactional | Class::Conversational => SignedDuration::from_secs(30),
    }
}

/// All that was seen.
pub(crate) struct Witness {
    log: MemoryLog,
    clock: Clock,
    topics: Topics,
    codec: Codec,
    seen: BTreeMap<Fault, u64>,
    last: VecDeque<String>,
    digest: u64,
    violation: Option<Violation>,
    stirred: bool,
    /// Records of evaluators that nobody has held against the fold yet.
    pub(crate) unjudged: Vec<Record>,
    /// Numbers whose owners agreed to promotional messages.
    pub(crate) promotional: BTreeSet<String>,
    opted_out: BTreeMap<CustomerKey, Timestamp>,
    exceptions: BTreeMap<(CustomerKey, String), (Timestamp, Offset)>,
    sends: BTreeMap<MessageId, SendRecord>,
    taken: BTreeMap<MessageId, (u32, Message)>,
    steps_sent: BTreeMap<(JourneyId, u16), MessageId>,
    attempts: BTreeMap<MessageId, u32>,
    outcomes: BTreeMap<MessageId, Vec<OutcomeResult>>,
    timers: BTreeMap<String, TimerState>,
    pub(crate) orders: BTreeSet<String>,
    confirmed: BTreeSet<String>,
    decided: BTreeMap<(Verdict, Reason), u64>,
}

#[derive(Clone, Debug, Default)]
struct TimerState {
    due: Timestamp,
    fired: bool,
    cancelled: bool,
}

impl Witness {
    pub(crate) fn new(log: MemoryLog, clock: Clock, topics: Topics) -> Self {
        Self {
            log,
            clock,
            topics,
            codec: Codec::single_object(),
            seen: BTreeMap::new(),
            last: VecDeque::new(),
            digest: 0xcbf2_9ce4_8422_2325,
            violation: None,
            stirred: false,
            unjudged: Vec::new(),
            promotional: BTreeSet::new(),
            opted_out: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            sends: BTreeMap::new(),
            taken: BTreeMap::new(),
            steps_sent: BTreeMap::new(),
            attempts: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            timers: BTreeMap::new(),
            orders: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            decided: BTreeMap::new(),
        }
    }

    /// Notes a step, for who reads a failure, and in the run's digest.
    pub(crate) fn note(&mut self, step: impl std::fmt::Display) {
        let line = format!("{} {step}", self.clock.now());
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.last.push_back(line);
        if self.last.len() > LAST_STEPS {
            self.last.pop_front();
        }
        self.stirred = true;
    }

    /// Counts a fault or a situation.
    pub(crate) fn saw(&mut self, fault: Fault) {
        *self.seen.entry(fault).or_default() += 1;
        self.note(fault.as_str());
    }

    /// A promise is broken; the first one is kept.
    pub(crate) fn violate(&mut self, promise: &'static str, detail: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { promise, detail });
        }
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    pub(crate) fn seen(&self) -> BTreeMap<Fault, u64> {
        self.seen.clone()
    }

    pub(crate) fn decided(&self) -> BTreeMap<(Verdict, Reason), u64> {
        self.decided.clone()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn last_steps(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// Whether something has happened since this was asked last.
    pub(crate) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.stirred)
    }

    pub(crate) fn stored(&mut self, partition: Partition, head: Offset) {
        self.note(format_args!("stored partition {partition} up to {head}"));
    }

    /// A record has landed.
    pub(crate) fn landed(&mut self, topic: &str, partition: Partition, offset: Offset) {
        self.note(format_args!("landed {topic}/{partition}@{offset}"));
        let Some(record) = self.log.records(topic, partition).into_iter().next_back().filter(|record| record.offset == offset) else {
            return;
        };
        let judged = [&self.topics.sends_promotional, &self.topics.sends_transactional, &self.topics.decisions];
        if judged.into_iter().any(|judged| **judged == *topic) {
            self.unjudged.push(record.clone());
        }
        if *topic == *self.topics.events {
            self.event(record);
        } else if *topic == *self.topics.timers {
            self.timer(&record);
        } else if *topic == *self.topics.deliveries {
            self.delivery(&record);
        } else if *topic == *self.topics.sends_promotional || *topic == *self.topics.sends_transactional {
            if let Some(Ok(send)) = record.value.as_ref().map(|value| SendRecord::decode(&self.codec, value)) {
                self.sends.insert(send.message.id.clone(), send);
            }
        } else if *topic == *self.topics.decisions {
            if let Some(Ok(DecisionRecord(decision))) = record.value.as_ref().map(|value| DecisionRecord::decode(&self.codec, value)) {
                *self.decided.entry((decision.verdict, decision.reason)).or_default() += 1;
                if decision.campaign.as_deref() == Some("order-confirmation") {
                    self.confirmed.extend(decision.object);
                }
            }
        } else if *topic == *self.topics.dead_letters {
            self.violate("nothing sound is set aside", format!("dead letter at {offset}"));
        }
    }

    fn event(&mut self, record: Record) {
        let Some(Ok(event)) = record.value.as_ref().map(|value| EventRecord::decode(&self.codec, value)) else { return };
        if event.origin.is_some() {
            self.unjudged.push(record.clone());
        }
        let EventBody::Customer(input) = event.body else { return };
        match input.fact {
            Fact::OptedOut { .. } => {
                self.opted_out.entry(input.key).or_insert(record.timestamp);
            }
            Fact::Tracked(tracked) if ["Order Completed", "Cart Cleared"].contains(&tracked.name.as_str()) => {
                if let Some(cart) = tracked.properties.get("cart_id").and_then(Value::as_text) {
                    self.exceptions.entry((input.key, cart.to_owned())).or_insert((record.timestamp, record.offset));
                }
            }
            Fact::TimerFired { timer, due } => {
                if record.timestamp < due {
                    self.violate("a timer never fires early", format!("timer {timer}"));
                }
                let state = self.timers.entry(timer.to_string()).or_default();
                state.fired = true;
            }
            Fact::Outcome(outcome) => self.outcomes.entry(outcome.message).or_default().push(outcome.result),
            Fact::HandedOver { .. } => self.saw(Fault::Joined),
            _ => {}
        }
    }

    fn timer(&mut self, record: &Record) {
        let Some(key) = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned()) else { return };
        match &record.value {
            Some(value) => {
                let Ok(timer) = TimerRecord::decode(&self.codec, value) else { return };
                self.timers.entry(key).or_default().due = timer.due;
            }
            // A tombstone of a firing says so in a header; the firing itself stands on the events log.
            None if record.headers.is_empty() => self.timers.entry(key).or_default().cancelled = true,
            None => {}
        }
    }

    fn delivery(&mut self, record: &Record) {
        let Some(Ok(delivery)) = record.value.as_ref().map(|value| DeliveryRecord::decode(&self.codec, value)) else { return };
        match delivery.verdict {
            DeliveryVerdict::Attempt if delivery.attempts == 0 => {
                let attempts = self.attempts.entry(delivery.message).or_default();
                *attempts += 1;
                if *attempts == 2 {
                    self.saw(Fault::LostClaim);
                }
            }
            DeliveryVerdict::Suppressed { .. } => self.saw(Fault::HeldBack),
            DeliveryVerdict::Unknown => self.saw(Fault::Unknown),
            _ => {}
        }
    }

    /// A dispatcher calls the provider. From its last look to here nothing waits, so the gate's promise holds at this moment.
    pub(crate) fn called(&mut self, message: &Message) {
        self.note(format_args!("called for {} of {}", message.id, message.campaign));
        let now = self.clock.now();
        let limit = now.saturating_sub(freshness(message.class)).unwrap_or(now);
        if self.opted_out.get(&message.address_home).is_some_and(|at| *at < limit) {
            self.violate("no hand-over after a STOP", format!("message {} of {}", message.id, message.campaign));
        }
        if message.class == Class::Promotional && !self.promotional.contains(&message.address) {
            self.violate("no message without consent", format!("message {} of {}", message.id, message.campaign));
        }
        if message.not_after <= now {
            self.violate("no hand-over behind its time", format!("message {}", message.id));
        }
        let Some(send) = self.sends.get(&message.id) else {
            return self.violate("no message without a decision", format!("message {}", message.id));
        };
        let cart = message.text.strip_prefix("cart=").and_then(|text| text.split_whitespace().next());
        if let Some((at, offset)) = cart.and_then(|cart| self.exceptions.get(&(message.customer.clone(), cart.to_owned()))) {
            if *offset < send.origin.offset {
                self.violate("no message after an exception that was in the log before its decision", format!("message {}", message.id));
            } else if *at < limit {
                self.violate("no hand-over after an exception", format!("message {}", message.id));
            }
        }
    }

    /// The provider takes a message.
    pub(crate) fn taken(&mut self, message: &Message) {
        self.note(format_args!("taken {}", message.id));
        if let Some((times, first)) = self.taken.get_mut(&message.id) {
            *times += 1;
            let same = first == message;
            if message.delivery == Delivery::AtMostOnce {
                self.violate("at most once: handed over at most once", format!("message {}", message.id));
            } else if !same {
                self.violate("at least once: repeats are the same message", format!("message {}", message.id));
            } else {
                self.saw(Fault::Repeated);
            }
            return;
        }
        self.taken.insert(message.id.clone(), (1, message.clone()));
        let step = (message.journey.clone(), message.step);
        if let Some(other) = self.steps_sent.insert(step, message.id.clone()) {
            self.violate("a journey's step is sent under one idempotency key", format!("messages {other} and {}", message.id));
        }
    }

    /// What has not come to its end: sends without an outcome, and timers due at `until` that have neither fired nor been cancelled.
    pub(crate) fn unfinished(&self, until: Timestamp) -> Vec<String> {
        let sends = self.sends.keys().filter(|id| !self.outcomes.contains_key(*id)).map(|id| format!("message {id} has no outcome"));
        let open = |state: &TimerState| !state.fired && !state.cancelled && state.due <= until;
        let timers = self.timers.iter().filter(|(_, state)| open(state)).map(|(id, state)| format!("timer {id} of {} is open", state.due));
        sends.chain(timers).collect()
    }

    /// Orders that nobody has said anything about.
    pub(crate) fn unanswered_orders(&self) -> Vec<String> {
        self.orders.difference(&self.confirmed).cloned().collect()
    }

    /// How many messages the provider has taken.
    pub(crate) fn messages(&self) -> usize {
        self.taken.len()
    }

    /// An outcome on the log, drawn by `index`.
    pub(crate) fn outcome_record(&self, index: usize) -> Option<Record> {
        let records = (0..self.topics.partitions).flat_map(|partition| self.log.records(&self.topics.events, partition));
        let is_outcome = |record: &Record| {
            let event = record.value.as_ref().and_then(|value| EventRecord::decode(&self.codec, value).ok());
            event.is_some_and(|event| matches!(event.body, EventBody::Customer(input) if matches!(input.fact, Fact::Outcome(_))))
        };
        let outcomes: Vec<Record> = records.filter(is_outcome).collect();
        outcomes.get(index % outcomes.len().max(1)).cloned()
    }
}
