//! Effects as records: where each goes, and in which order.

use std::sync::Arc;

use bytes::Bytes;
use cartwheel_engine::{
    decision::{Cause, Decision},
    effect::{Effect, Message},
    input::{Fact, Input, Origin},
    key::CustomerKey,
};
use cartwheel_runtime::log::{Outgoing, Record};
use cartwheel_wire::{Codec, DeadLetter, DeadLetterSource, DecisionRecord, EventBody, EventRecord, SendRecord, TimerRecord, Topics};
use jiff::Timestamp;

/// Turns effects into records of their topics.
#[derive(Clone)]
pub struct Performer {
    topics: Topics,
    codec: Codec,
}

fn key(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

impl Performer {
    /// Records for these topics, in this framing.
    pub fn new(topics: Topics, codec: Codec) -> Self {
        Self { topics, codec }
    }

    /// The topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The framing.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The record that carries an effect of the record at `partition` and `offset`, decided by `home`.
    pub fn record(&self, partition: u32, offset: u64, home: &CustomerKey, cause: &Cause, effect: Effect) -> Outgoing {
        match effect {
            Effect::SetTimer { timer, due } => {
                let input = Input {
                    key: home.clone(),
                    id: timer.to_string(),
                    received: due,
                    names: Vec::new(),
                    fact: Fact::TimerFired { timer: timer.clone(), due },
                };
                let firing = EventRecord { origin: None, body: EventBody::Customer(input) };
                let record = TimerRecord {
                    id: timer.to_string(),
                    due,
                    topic: self.topics.events.to_string(),
                    partition,
                    key: key(home.as_str()),
                    headers: Vec::new(),
                    value: Some(Bytes::from(firing.encode(&self.codec))),
                };
                self.outgoing(&self.topics.timers, partition, timer.as_str(), Some(record.encode(&self.codec)))
            }
            Effect::CancelTimer { timer, home } => {
                self.outgoing(&self.topics.timers, self.topics.partition_of(&home), timer.as_str(), None)
            }
            Effect::Send(message) => self.send(partition, offset, cause, *message),
            Effect::Emit { slot, input } => {
                let to = self.topics.partition_of(&input.key);
                let target = input.key.clone();
                let record = EventRecord { origin: Some(Origin { partition, offset, slot }), body: EventBody::Customer(*input) };
                self.outgoing(&self.topics.events, to, target.as_str(), Some(record.encode(&self.codec)))
            }
            Effect::Record(decision) => self.decision(partition, *decision),
        }
    }

    fn send(&self, partition: u32, offset: u64, cause: &Cause, message: Message) -> Outgoing {
        let topic = self.topics.sends(message.class).clone();
        let home = message.customer.clone();
        let record = SendRecord { message, origin: Origin { partition, offset, slot: 0 }, cause: cause.clone() };
        self.outgoing(&topic, partition, home.as_str(), Some(record.encode(&self.codec)))
    }

    /// A decision's record.
    pub fn decision(&self, partition: u32, decision: Decision) -> Outgoing {
        let home = decision.customer.clone();
        self.outgoing(&self.topics.decisions, partition, home.as_str(), Some(DecisionRecord(decision).encode(&self.codec)))
    }

    /// A shop's new revision for this partition's log.
    pub fn activation(&self, partition: u32, shop: &str, revision: u32) -> Outgoing {
        let record = EventRecord { origin: None, body: EventBody::Activation { shop: shop.to_owned(), revision } };
        self.outgoing(&self.topics.events, partition, &format!("{shop}/revision@{revision}"), Some(record.encode(&self.codec)))
    }

    /// A record that cannot be folded, with its bytes and why.
    pub fn dead_letter(&self, record: &Record, reason: &str, message: String, at: Timestamp) -> Outgoing {
        let key_text = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let shop = key_text.split_once('/').map(|(shop, _)| shop.to_owned());
        let source = DeadLetterSource::Topic { topic: record.topic.to_string(), partition: record.partition, offset: record.offset };
        let letter = DeadLetter::new(source, shop, reason, message, at, record.value.clone().unwrap_or_default());
        self.outgoing(&self.topics.dead_letters, record.partition, &letter.key(), Some(letter.encode(&self.codec)))
    }

    fn outgoing(&self, topic: &Arc<str>, partition: u32, name: &str, value: Option<Vec<u8>>) -> Outgoing {
        Outgoing { topic: topic.clone(), partition, key: key(name), value: value.map(Bytes::from), headers: Vec::new() }
    }
}
